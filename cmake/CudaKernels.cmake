# The CUDA backend's device code: nvcc makes one fat binary of each kernels/cuda/OP.cu, with machine code for the
# architectures of SEGAGENT_CUDA_ARCHS and PTX of compute_80 (uncompressed, with line information), and all of them
# are embedded in the program. The program opens the driver's library at run time, so nothing of CUDA is linked.
# Without nvcc, or with SEGAGENT_CUDA=OFF, the build is for the CPU alone and says so.
#
# Leaves cuda_kernel_sources (C files for segagent_core: launchers and the embedded images) or, in cuda_missing, why
# there are none; in cuda/ of the build folder OP.fatbin and OP.log: what ptxas says of every entry point (registers,
# shared memory, spills).
set(SEGAGENT_CUDA_ARCHS "80;86;89;90a;100;120" CACHE STRING
    "Architectures that get machine code; empty: PTX alone, which the driver compiles at start")

set(cuda_kernel_sources)
set(cuda_missing)
if(NOT SEGAGENT_CUDA)
    set(cuda_missing "built with SEGAGENT_CUDA=OFF")
    message(STATUS "SEGAGENT_CUDA=OFF: a CPU-only build")
    return()
endif()

# $CUDACXX, then PATH, then where the toolkit installs itself.
find_program(SEGAGENT_NVCC nvcc HINTS $ENV{CUDACXX} $ENV{CUDA_PATH}/bin $ENV{CUDA_HOME}/bin PATHS /usr/local/cuda/bin)
if(EXISTS "$ENV{CUDACXX}" AND NOT IS_DIRECTORY "$ENV{CUDACXX}")
    set(SEGAGENT_NVCC $ENV{CUDACXX})
endif()
if(NOT SEGAGENT_NVCC)
    set(cuda_missing "built without nvcc")
    message(STATUS "no nvcc (not in CUDACXX, PATH or /usr/local/cuda/bin): a CPU-only build")
    return()
endif()
execute_process(COMMAND ${SEGAGENT_NVCC} --version OUTPUT_VARIABLE version RESULT_VARIABLE code ERROR_QUIET)
string(REGEX MATCH "release ([0-9]+)\\.([0-9]+)" version "${version}")
set(cuda_major ${CMAKE_MATCH_1})
set(cuda_minor ${CMAKE_MATCH_2})
if(NOT code EQUAL 0 OR NOT version)
    set(cuda_missing "built without a working nvcc")
    message(STATUS "${SEGAGENT_NVCC} does not say its version: a CPU-only build")
    return()
endif()
string(REPLACE ";" " " cuda_archs "${SEGAGENT_CUDA_ARCHS}")
message(STATUS "CUDA kernels: nvcc ${cuda_major}.${cuda_minor}, machine code for [${cuda_archs}], PTX of compute_80")

set(cuda_codes)
foreach(arch ${SEGAGENT_CUDA_ARCHS})
    list(APPEND cuda_codes -gencode arch=compute_${arch},code=sm_${arch})
endforeach()
list(APPEND cuda_codes -gencode arch=compute_80,code=compute_80)

set(cuda_folder ${CMAKE_BINARY_DIR}/cuda)
file(MAKE_DIRECTORY ${cuda_folder})
file(GLOB cuda_sources CONFIGURE_DEPENDS kernels/cuda/*.cu)
set(cuda_images)
set(cuda_stub "/* Made by cmake/CudaKernels.cmake: the fat binaries of kernels/cuda. */\n#include \"kernels/cuda/images.h\"\n\n")
set(cuda_table)
foreach(source ${cuda_sources})
    get_filename_component(name ${source} NAME_WE)
    set(image ${cuda_folder}/${name}.fatbin)
    add_custom_command(OUTPUT ${image}
        COMMAND ${CMAKE_COMMAND} -DNVCC=${SEGAGENT_NVCC} -DSOURCE=${source} -DOUTPUT=${image}
            -DINCLUDE=${CMAKE_SOURCE_DIR} "-DCODES=${cuda_codes}" -P ${CMAKE_SOURCE_DIR}/cmake/CompileCuda.cmake
        DEPENDS ${source} ${CMAKE_SOURCE_DIR}/cmake/CompileCuda.cmake
        DEPFILE ${image}.d
        COMMENT "nvcc kernels/cuda/${name}.cu" VERBATIM)
    list(APPEND cuda_images ${image})
    string(APPEND cuda_stub "SA_CUDA_IMAGE(${name}, \"${image}\")\n")
    string(APPEND cuda_table "    {\"${name}\", sa_cuda_image_${name}, sa_cuda_image_${name}_end},\n")
endforeach()
string(APPEND cuda_stub "\nconst sa_cuda_image sa_cuda_images[] = {\n${cuda_table}    {0},\n};\n"
    "const int sa_cuda_toolkit = ${cuda_major}0${cuda_minor}0;\n"
    "const char sa_cuda_archs[] = \"${cuda_archs}\";\n")
file(CONFIGURE OUTPUT ${cuda_folder}/images.c CONTENT "${cuda_stub}" @ONLY)
set_source_files_properties(${cuda_folder}/images.c PROPERTIES OBJECT_DEPENDS "${cuda_images}")

file(GLOB cuda_launchers CONFIGURE_DEPENDS kernels/cuda/*.c)
set(cuda_kernel_sources ${cuda_launchers} ${cuda_folder}/images.c)
# The fat binaries alone, for a look at what ptxas says.
add_custom_target(segagent_cuda_images DEPENDS ${cuda_images})
