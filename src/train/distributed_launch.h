// Which one of several training processes this is, as launchers say it in the environment:
// torchrun, Open MPI's mpirun, PMI (MPICH, Intel MPI, srun --mpi=pmi2) and Slurm's srun. Reads
// variables; meets nobody (distributed.h does).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace akin::train {

struct Launch {
  size_t rank = 0, size = 1;
  size_t local_rank = 0;      // among the processes of this machine
  std::string address;        // of the machine of process 0
  uint16_t port = 0;          // where the others find process 0
  bool one_machine = false;   // known to be
  uint64_t wait_seconds = 0;  // how long processes wait for each other; 0: as is usual
};

// A variable's value; an empty one counts as not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// One process, unless a launcher says otherwise. MASTER_ADDR and MASTER_PORT win over what the
// launcher lets guess. Errors: usage (numbers that are none, a rank that is no process of so many,
// launchers that contradict each other, nobody who knows where process 0 is).
Launch read_launch(const Environment& environment);
Launch read_launch();  // of this process

// The first machine of a Slurm list: "gpu[03-05,9],login" -> "gpu03".
std::string first_machine(std::string_view list);

}  // namespace akin::train
