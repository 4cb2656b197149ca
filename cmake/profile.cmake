# Compiles for what runs most. A build with DRIFTLOCK_RECORD_PROFILE makes programs that add to a profile in that folder, and one
# with DRIFTLOCK_PROFILE uses it: the compiler then knows which branches are taken and what to inline. `make profile` makes one.
# The linker optimises across files only then, since without a profile that makes the engine slower (docs/BENCHMARKS.md).
set(DRIFTLOCK_RECORD_PROFILE "" CACHE PATH "Folder to which programs write a profile of what runs (GCC and Clang)")
set(DRIFTLOCK_PROFILE "" CACHE PATH "Folder with the profile to compile for (GCC and Clang)")

# Clang writes a file per process, which llvm-profdata merges. GCC writes a file per object, by its path in the build.
set(gcc_paths -fprofile-prefix-path=${CMAKE_BINARY_DIR})

if((DRIFTLOCK_RECORD_PROFILE OR DRIFTLOCK_PROFILE) AND NOT CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
  message(FATAL_ERROR "${CMAKE_CXX_COMPILER_ID} does not compile for a profile here: leave DRIFTLOCK_PROFILE out, or use GCC or Clang")
endif()
if(DRIFTLOCK_RECORD_PROFILE)
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    set(profile_options -fprofile-instr-generate=${DRIFTLOCK_RECORD_PROFILE}/%p.profraw)
  else()
    # The engine's threads count the same branches.
    set(profile_options -fprofile-generate=${DRIFTLOCK_RECORD_PROFILE} -fprofile-update=atomic ${gcc_paths})
  endif()
  add_compile_options(${profile_options})
  add_link_options(${profile_options})
elseif(DRIFTLOCK_PROFILE)
  include(CheckIPOSupported)
  check_ipo_supported(RESULT CMAKE_INTERPROCEDURAL_OPTIMIZATION LANGUAGES CXX)
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    add_compile_options(-fprofile-instr-use=${DRIFTLOCK_PROFILE}/merged.profdata -Wno-profile-instr-unprofiled -Wno-profile-instr-out-of-date)
  else()
    # What the load does not run has no profile.
    add_compile_options(-fprofile-use=${DRIFTLOCK_PROFILE} ${gcc_paths} -fprofile-correction -Wno-missing-profile
      -Wno-coverage-mismatch)
  endif()
endif()
