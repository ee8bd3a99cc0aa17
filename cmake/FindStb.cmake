# Stb::Stb, the headers of Debian's libstb-dev: stb_image.h (PNG, BMP, PNM reading) and stb_easy_font.h (words on
# contact sheets).
find_path(Stb_INCLUDE_DIR stb_image.h PATH_SUFFIXES stb)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Stb REQUIRED_VARS Stb_INCLUDE_DIR
    REASON_FAILURE_MESSAGE "Debian has it in libstb-dev")
if(Stb_FOUND)
    # "/* stb_image - v2.27 - public domain ..."; the header has no macro for it.
    file(STRINGS ${Stb_INCLUDE_DIR}/stb_image.h Stb_VERSION REGEX "stb_image - v[0-9.]+" LIMIT_COUNT 1)
    string(REGEX REPLACE ".*stb_image - v([0-9.]+).*" "\\1" Stb_VERSION "${Stb_VERSION}")
endif()
if(Stb_FOUND AND NOT TARGET Stb::Stb)
    add_library(Stb::Stb INTERFACE IMPORTED)
    set_target_properties(Stb::Stb PROPERTIES INTERFACE_SYSTEM_INCLUDE_DIRECTORIES ${Stb_INCLUDE_DIR}
        INTERFACE_INCLUDE_DIRECTORIES ${Stb_INCLUDE_DIR})
endif()
