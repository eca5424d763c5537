# Planted bugs: a test that a mistake cannot break tests nothing.

# arqon_mutant(NAME FILE path FROM text TO text SOURCES a.cc... TESTS objects... DEPS arqon::x...)
# Builds SOURCES with FROM in FILE (path from the root, a source or a header) replaced by TO, links
# them with the object libraries TESTS in place of what the libraries have, and demands that a test
# fails. FROM must be there exactly as written. Optimised builds only: the property tests do more
# there, and once is enough.
function(arqon_mutant name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "FILE;FROM;TO" "SOURCES;TESTS;DEPS")
  if(NOT ARQON_TESTS OR CMAKE_BUILD_TYPE STREQUAL "Debug")
    return()
  endif()
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/mutants/${name})
  file(READ ${CMAKE_SOURCE_DIR}/${ARG_FILE} whole)
  string(REPLACE "${ARG_FROM}" "${ARG_TO}" spoiled "${whole}")
  if(spoiled STREQUAL whole)
    message(FATAL_ERROR "mutant ${name}: ${ARG_FILE} does not hold: ${ARG_FROM}")
  endif()
  file(CONFIGURE OUTPUT ${folder}/${ARG_FILE} CONTENT "${spoiled}" @ONLY)
  set(sources)
  foreach(source IN LISTS ARG_SOURCES)
    file(RELATIVE_PATH path ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/${source})
    if(path STREQUAL ARG_FILE)
      list(APPEND sources ${folder}/${ARG_FILE})
    else()
      list(APPEND sources ${source})
    endif()
  endforeach()
  foreach(test IN LISTS ARG_TESTS)
    list(APPEND sources $<TARGET_OBJECTS:${test}>)
  endforeach()
  add_executable(mutant_${name} ${sources})
  target_include_directories(mutant_${name} BEFORE PRIVATE ${folder})
  target_link_libraries(mutant_${name} PRIVATE arqon_options ${ARG_DEPS} fmt::fmt
    GTest::gtest_main)
  add_test(NAME mutant_${name} COMMAND mutant_${name} --gtest_brief=1 --gtest_fail_fast)
  set_tests_properties(mutant_${name} PROPERTIES LABELS prop TIMEOUT 300 WILL_FAIL TRUE)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${ARG_FILE})
endfunction()

# arqon_test_objects(NAME a_test.cc... DEPS arqon::x...): a test's objects, to be linked more than
# once. Without the library's assertions: what a planted bug breaks the test has to notice.
function(arqon_test_objects name)
  if(NOT ARQON_TESTS)
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES;DEPS")
  add_library(${name} OBJECT ${ARG_SOURCES})
  target_compile_options(${name} PRIVATE -U_GLIBCXX_ASSERTIONS)
  target_compile_definitions(${name} PRIVATE ARQON_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE arqon_options ${ARG_DEPS} GTest::gtest rapidcheck
    rapidcheck_gtest)
endfunction()
