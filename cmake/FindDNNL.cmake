# DNNL::DNNL, oneDNN 2.6 (Debian's libdnnl-dev) or 3.x; -DDNNL_ROOT=PREFIX names the prefix of another one.
# CMake looks there first by itself; of a folder that was configured before, delete the cache.
find_path(DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.h)
find_library(DNNL_LIBRARY dnnl)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(DNNL DEFAULT_MSG DNNL_LIBRARY DNNL_INCLUDE_DIR)
if(DNNL_FOUND AND NOT TARGET DNNL::DNNL)
    add_library(DNNL::DNNL UNKNOWN IMPORTED)
    set_target_properties(DNNL::DNNL PROPERTIES IMPORTED_LOCATION ${DNNL_LIBRARY}
        INTERFACE_INCLUDE_DIRECTORIES ${DNNL_INCLUDE_DIR})
endif()
