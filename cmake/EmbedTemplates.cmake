# runtime/text/templates/*.json as one C source with their bytes (template.h): the program needs no files beside it.
file(GLOB template_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/runtime/text/templates/*.json)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${template_files})
set(template_bytes "")
set(template_rows "")
foreach(file ${template_files})
    get_filename_component(name ${file} NAME_WE)
    file(READ ${file} bytes HEX)
    string(LENGTH "${bytes}" size)
    math(EXPR size "${size} / 2")
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
    string(APPEND template_bytes "static const unsigned char ${name}[] = {${bytes}};\n")
    string(APPEND template_rows "    {\"${name}\", ${name}, ${size}},\n")
endforeach()
set(template_source ${CMAKE_BINARY_DIR}/templates.c)
file(CONFIGURE OUTPUT ${template_source} @ONLY CONTENT "/* Made by cmake/EmbedTemplates.cmake. */
#include \"runtime/text/template.h\"

@template_bytes@
const sa_template_file sa_template_files[] = {
@template_rows@    {0},
};
")
