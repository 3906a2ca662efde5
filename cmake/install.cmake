# Install rules: the program with its man page, completions and models; the library (shared, and one static bundle) with
# its headers and a CMake package file, so that find_package(akin) gives akin::akin and akin::akin_static.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

if(AKIN_SANITIZE OR AKIN_FUZZ OR NOT TARGET akin_api OR NOT TARGET akin)
  return()
endif()

set(akin_rooms akin_api akin_engine akin_model akin_kernels akin_store akin_text akin_core akin_base)
add_library(akin_shared SHARED $<TARGET_OBJECTS:akin_api>)
target_link_libraries(akin_shared PRIVATE ${akin_rooms})
target_link_options(akin_shared PRIVATE -Wl,--exclude-libs,ALL -Wl,--no-undefined)
set_target_properties(akin_shared PROPERTIES OUTPUT_NAME akin VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR} LINKER_LANGUAGE CXX)

set(objects)
foreach(room ${akin_rooms})
  list(APPEND objects $<TARGET_OBJECTS:${room}>)
endforeach()
add_library(akin_static STATIC ${objects})
set_target_properties(akin_static PROPERTIES OUTPUT_NAME akin LINKER_LANGUAGE CXX)

# Words that the program writes about itself.
set(words ${PROJECT_BINARY_DIR}/words)
add_custom_command(OUTPUT ${words}/akin.1 ${words}/akin.bash ${words}/_akin ${words}/akin.fish
  COMMAND ${CMAKE_COMMAND} -E make_directory ${words}
  COMMAND akin help --man > ${words}/akin.1
  COMMAND akin completion bash > ${words}/akin.bash
  COMMAND akin completion zsh > ${words}/_akin
  COMMAND akin completion fish > ${words}/akin.fish
  DEPENDS akin VERBATIM)
add_custom_target(akin_words ALL DEPENDS ${words}/akin.1)

install(TARGETS akin RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(AKIN_WITH_TRAIN)
  install(TARGETS akin-train RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(TARGETS akin_shared akin_static
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/akin DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/models DESTINATION ${CMAKE_INSTALL_DATADIR}/akin)
install(FILES ${words}/akin.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${words}/akin.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME akin)
install(FILES ${words}/_akin DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${words}/akin.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/akin)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/akinConfig.cmake.in
  ${PROJECT_BINARY_DIR}/akinConfig.cmake INSTALL_DESTINATION ${package_dir}
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/akinConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/akinConfig.cmake ${PROJECT_BINARY_DIR}/akinConfigVersion.cmake
  DESTINATION ${package_dir})
