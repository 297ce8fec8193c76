# SPDX-License-Identifier: Apache-2.0
# Build rules shared by every folder: one library a folder, one executable a unit test.

option(SILVER_TESTS "build unit tests, simulator and fuzz targets" ON)
option(SILVER_FAILPOINTS "compile the named failure points in (tests and demo only)" ON)
option(SILVER_WERROR "treat warnings as errors" OFF)
set(SILVER_SANITIZE "" CACHE STRING "sanitizers, for example address,undefined or thread")

add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes
                    -Wpointer-arith -Wwrite-strings -Wformat=2 -Wundef -fno-common -fstack-protector-strong)
add_compile_definitions(_GNU_SOURCE)
if(SILVER_WERROR)
    add_compile_options(-Werror)
endif()
if(SILVER_FAILPOINTS)
    add_compile_definitions(SN_FAILPOINTS=1)
endif()
if(SILVER_SANITIZE)
    add_compile_options(-fsanitize=${SILVER_SANITIZE} -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${SILVER_SANITIZE})
endif()
if(CMAKE_BUILD_TYPE MATCHES "Rel" AND NOT SILVER_SANITIZE)
    add_compile_definitions(_FORTIFY_SOURCE=2)
endif()

# sn_library(NAME [DEPS target...] [PKG pkg-config-name...] [LIBS lib...] [EMBED file...])
# A static library of every *.c in the current folder. Headers are included from the source root:
# #include "common/base/error.h". PKG and LIBS are linked PRIVATE, so that no other layer sees their headers.
# EMBED turns a file into `const char sn_embed_<name>[]` (text, NUL-terminated); see common/base/embed.h.
function(sn_library name)
    cmake_parse_arguments(A "" "" "DEPS;PKG;LIBS;EMBED" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
    sn_embed_sources(embedded ${A_EMBED})
    add_library(${name} STATIC ${sources} ${embedded})
    target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
    target_link_libraries(${name} PUBLIC ${A_DEPS} PRIVATE Threads::Threads ${A_LIBS})
    sn_link_packages(${name} ${A_PKG})
endfunction()

function(sn_link_packages name)
    foreach(pkg ${ARGN})
        string(MAKE_C_IDENTIFIER "PC_${pkg}" prefix)
        pkg_check_modules(${prefix} REQUIRED IMPORTED_TARGET GLOBAL ${pkg})
        target_link_libraries(${name} PRIVATE PkgConfig::${prefix})
    endforeach()
endfunction()

function(sn_embed_sources out)
    set(list "")
    foreach(file ${ARGN})
        get_filename_component(path ${file} ABSOLUTE BASE_DIR ${CMAKE_CURRENT_SOURCE_DIR})
        file(RELATIVE_PATH rel ${CMAKE_SOURCE_DIR} ${path})
        string(MAKE_C_IDENTIFIER "${rel}" symbol)
        set(asm ${CMAKE_CURRENT_BINARY_DIR}/embed_${symbol}.S)
        file(WRITE ${asm}.in
             "    .section .rodata\n    .global sn_embed_${symbol}\n    .type sn_embed_${symbol}, @object\n"
             "sn_embed_${symbol}:\n    .incbin \"${path}\"\n    .byte 0\n"
             "    .size sn_embed_${symbol}, .-sn_embed_${symbol}\n    .section .note.GNU-stack,\"\",@progbits\n")
        configure_file(${asm}.in ${asm} COPYONLY)
        set_source_files_properties(${asm} PROPERTIES OBJECT_DEPENDS ${path})
        list(APPEND list ${asm})
    endforeach()
    set(${out} ${list} PARENT_SCOPE)
endfunction()

# sn_unit_test(NAME sources... [DEPS target...] [PKG ...]): a cmocka program, run by ctest with the label "unit".
function(sn_unit_test name)
    cmake_parse_arguments(A "" "" "DEPS;PKG;LIBS" ${ARGN})
    add_executable(${name} ${A_UNPARSED_ARGUMENTS})
    target_link_libraries(${name} PRIVATE ${A_DEPS} ${A_LIBS} Threads::Threads)
    sn_link_packages(${name} cmocka ${A_PKG})
    add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 120)
endfunction()

# Adds every sub-folder that has a CMakeLists.txt, in the order of their names.
function(sn_add_subfolders)
    file(GLOB children RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*/CMakeLists.txt)
    foreach(child ${children})
        get_filename_component(dir ${child} DIRECTORY)
        add_subdirectory(${dir})
    endforeach()
endfunction()
