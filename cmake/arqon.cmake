# The three kinds of target this project has: a module's library, its tests, its benches.
add_library(arqon_options INTERFACE)
target_compile_options(arqon_options INTERFACE
  -Wall -Wextra -Wno-missing-field-initializers -Wpedantic -Wconversion -Wsign-conversion -Wshadow
  -Wold-style-cast -Wcast-qual
  -Wformat=2 -Woverloaded-virtual -Wnon-virtual-dtor -Wdouble-promotion
  # Fused multiply-add would make decisions depend on the machine and the optimisation level.
  -ffp-contract=off
  $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond -Wuseless-cast>
  $<$<BOOL:${ARQON_WERROR}>:-Werror>)
target_include_directories(arqon_options INTERFACE ${CMAKE_SOURCE_DIR})

# arqon_library(NAME SOURCES a.cc ... DEPS arqon::base ... [PRIVATE_DEPS ...])
# Makes static library arqon_NAME with the alias arqon::NAME.
function(arqon_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  if(ARG_SOURCES)
    add_library(arqon_${name} STATIC ${ARG_SOURCES})
    target_link_libraries(arqon_${name} PUBLIC ${ARG_DEPS}
      PRIVATE arqon_options ${ARG_PRIVATE_DEPS})
    target_include_directories(arqon_${name} PUBLIC ${CMAKE_SOURCE_DIR})
  else()
    add_library(arqon_${name} INTERFACE)
    target_link_libraries(arqon_${name} INTERFACE ${ARG_DEPS})
    target_include_directories(arqon_${name} INTERFACE ${CMAKE_SOURCE_DIR})
  endif()
  add_library(arqon::${name} ALIAS arqon_${name})
endfunction()

# arqon_test(NAME SOURCES a_test.cc ... DEPS arqon::x ... [LABEL unit])
# One gtest binary; ctest sees it as one test, shuffled with a fixed seed.
function(arqon_test name)
  if(NOT ARQON_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE arqon_options ${ARG_DEPS} GTest::gtest_main rapidcheck
    rapidcheck_gtest)
  target_compile_definitions(${name} PRIVATE ARQON_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name} --gtest_shuffle --gtest_random_seed=1)
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 600)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT})
endfunction()

# arqon_bench(NAME SOURCES a_bench.cc ... DEPS arqon::x ...)
function(arqon_bench name)
  if(NOT ARQON_BENCH)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE arqon_options ${ARG_DEPS} benchmark::benchmark_main)
  target_compile_definitions(${name} PRIVATE ARQON_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  set_property(GLOBAL APPEND PROPERTY ARQON_BENCHES ${name})
endfunction()

# arqon_fuzz(NAME SOURCE a_fuzz.cc CORPUS dir DEPS ...): the source defines LLVMFuzzerTestOneInput.
# With ARQON_FUZZ it is a libFuzzer binary that ctest runs for ARQON_FUZZ_SECONDS, finds kept in the
# build tree; with ARQON_TESTS a replay binary runs the corpus tests/corpora/DIR.
function(arqon_fuzz name)
  cmake_parse_arguments(ARG "" "SOURCE;CORPUS" "DEPS" ${ARGN})
  set(corpus ${CMAKE_SOURCE_DIR}/tests/corpora/${ARG_CORPUS})
  if(ARQON_FUZZ)
    add_executable(${name} ${ARG_SOURCE})
    target_link_libraries(${name} PRIVATE arqon_options ${ARG_DEPS} -fsanitize=fuzzer)
    set(found ${CMAKE_BINARY_DIR}/corpora/${ARG_CORPUS})
    file(MAKE_DIRECTORY ${found})
    add_test(NAME ${name}
      COMMAND ${name} -max_total_time=${ARQON_FUZZ_SECONDS} -print_final_stats=1 ${found} ${corpus})
    set_tests_properties(${name} PROPERTIES LABELS fuzz)
  endif()
  if(ARQON_TESTS)
    add_executable(${name}_replay ${ARG_SOURCE}
      ${CMAKE_SOURCE_DIR}/arqon/testing/fuzz_replay_main.cc)
    target_link_libraries(${name}_replay PRIVATE arqon_options ${ARG_DEPS})
    add_test(NAME ${name}_replay COMMAND ${name}_replay ${corpus})
    set_tests_properties(${name}_replay PROPERTIES LABELS fuzz_smoke TIMEOUT 120)
  endif()
endfunction()

# arqon_table(TARGET folder/NAME.csv): the rows of a data file as C++ initialisers of strings, for
# #include "MODULE_PATH/folder/NAME.inc" in a source of the target. The header row is left out. No
# cell holds a comma, a semicolon or a quote.
function(arqon_table target csv)
  file(STRINGS ${csv} rows)
  list(POP_FRONT rows)
  set(text "")
  foreach(row IN LISTS rows)
    string(REPLACE "," "\", \"" cells "${row}")
    string(APPEND text "{{\"${cells}\"}},\n")
  endforeach()
  file(RELATIVE_PATH place ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  string(REGEX REPLACE "[.]csv$" ".inc" name ${csv})
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/tables/${place}/${name} CONTENT "${text}" @ONLY)
  target_include_directories(${target} PRIVATE ${CMAKE_BINARY_DIR}/tables)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${csv})
endfunction()
