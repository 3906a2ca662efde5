# akin_room(name LINK other rooms and libraries): collects src/<name>/**.cc into akin_<name> and, beside it, every
# *_test.cc into akin_<name>_test. New files need no edit here. EXCLUDE is a
# regular expression over paths.

add_library(akin_options INTERFACE)
target_include_directories(akin_options INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
target_compile_options(akin_options INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Werror=return-type
  -ffp-contract=off
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)  # g++ 12 warns falsely in std::string
target_compile_definitions(akin_options INTERFACE AKIN_VERSION="${PROJECT_VERSION}")
if(AKIN_WERROR)
  target_compile_options(akin_options INTERFACE -Werror)
endif()
if(AKIN_SANITIZE)
  target_compile_options(akin_options INTERFACE -fsanitize=${AKIN_SANITIZE} -fno-sanitize-recover=all
    -fno-omit-frame-pointer -DAKIN_DCHECKS=1)
  target_link_options(akin_options INTERFACE -fsanitize=${AKIN_SANITIZE})
endif()
if(AKIN_FUZZ)
  target_compile_options(akin_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

function(akin_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} akin_options GTest::gtest GTest::gtest_main)
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 600)
  endif()
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT})
endfunction()

function(akin_room name)
  cmake_parse_arguments(ARG "" "EXCLUDE" "LINK" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cc)
  if(ARG_EXCLUDE)
    list(FILTER sources EXCLUDE REGEX "${ARG_EXCLUDE}")
  endif()
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  if(NOT sources)  # a room not yet moved into
    add_library(akin_${name} INTERFACE)
    return()
  endif()
  add_library(akin_${name} STATIC ${sources})
  target_link_libraries(akin_${name} PUBLIC akin_options ${ARG_LINK})
  if(AKIN_TESTS AND tests)
    akin_test(akin_${name}_test SOURCES ${tests} LINK akin_${name})
  endif()
endfunction()
