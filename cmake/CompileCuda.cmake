# cmake -DNVCC= -DSOURCE=OP.cu -DOUTPUT=OP.fatbin -DINCLUDE= -DCODES="-gencode;..." -P CompileCuda.cmake
# One .cu to one fat binary; ptxas's report goes to OP.log beside it, what includes what to OP.fatbin.d. Warnings of
# nvcc are errors; with an error the whole report is shown.
string(REGEX REPLACE "\\.fatbin$" ".log" log ${OUTPUT})
execute_process(
    COMMAND ${NVCC} -fatbin --no-compress -lineinfo -std=c++17 -I${INCLUDE} -Xptxas -v -Werror all-warnings
        -MD -MF ${OUTPUT}.d -MT ${OUTPUT} ${CODES} ${SOURCE} -o ${OUTPUT}
    RESULT_VARIABLE code OUTPUT_VARIABLE report ERROR_VARIABLE report)
file(WRITE ${log} "${report}")
if(NOT code EQUAL 0)
    file(REMOVE ${OUTPUT})
    message(FATAL_ERROR "${report}")
endif()
