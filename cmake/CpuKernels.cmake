# The CPU backend. Every file of kernels/cpu/ops is compiled once per instruction set level, from the same
# source: the flags below and SA_ISA (a suffix for its one exported table) are all that differ. runtime/device
# picks a level at run time.
file(GLOB cpu_op_sources CONFIGURE_DEPENDS kernels/cpu/ops/*.c)
file(GLOB cpu_common_sources CONFIGURE_DEPENDS kernels/cpu/*.c)

set(cpu_isa_levels plain)
set(cpu_isa_flags_plain "")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    list(APPEND cpu_isa_levels avx2 avx512 avx512bf16)
    set(cpu_isa_flags_avx2 -mavx2 -mfma -mf16c)
    set(cpu_isa_flags_avx512 ${cpu_isa_flags_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512)
    set(cpu_isa_flags_avx512bf16 ${cpu_isa_flags_avx512} -mavx512bf16)
endif()

# No fuzz harness reaches the kernels, and clang takes minutes over them with sanitizers.
if(SEGAGENT_FUZZ)
    set_source_files_properties(${cpu_op_sources} PROPERTIES COMPILE_OPTIONS -fno-sanitize=all)
endif()

add_library(segagent_cpu_kernels STATIC ${cpu_common_sources})
target_link_libraries(segagent_cpu_kernels PUBLIC segagent_options)
foreach(level ${cpu_isa_levels})
    add_library(segagent_cpu_${level} OBJECT ${cpu_op_sources})
    target_link_libraries(segagent_cpu_${level} PRIVATE segagent_options)
    target_compile_options(segagent_cpu_${level} PRIVATE ${cpu_isa_flags_${level}})
    target_compile_definitions(segagent_cpu_${level} PRIVATE SA_ISA=${level})
    target_sources(segagent_cpu_kernels PRIVATE $<TARGET_OBJECTS:segagent_cpu_${level}>)
    string(TOUPPER ${level} upper)
    target_compile_definitions(segagent_cpu_kernels PUBLIC SEGAGENT_HAVE_${upper}=1)
endforeach()
if(DNNL_FOUND)
    target_link_libraries(segagent_cpu_kernels PUBLIC DNNL::DNNL)
    target_compile_definitions(segagent_cpu_kernels PUBLIC SEGAGENT_HAVE_DNNL=1)
endif()
