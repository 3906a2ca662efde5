#include "train/distributed_launch.h"

#include <charconv>
#include <cstdlib>

#include "base/error.h"
#include "base/hash.h"

namespace akin::train {
namespace {

constexpr std::string_view kWhere = "environment";
constexpr uint16_t kUsualPort = 29500;
// A job's own port lies below those that systems give to outgoing connections.
constexpr uint64_t kFirstPort = 20000, kPorts = 12000;

std::optional<uint64_t> number(const Environment& environment, const std::string& name,
                               uint64_t most) {
  const auto text = environment(name);
  if (!text) return std::nullopt;
  uint64_t out = 0;
  const char* end = text->data() + text->size();
  const auto [stop, error] = std::from_chars(text->data(), end, out);
  if (error != std::errc() || stop != end || out > most) {
    throw_error(ErrorKind::usage, kWhere, "{} is {}, expected a number from 0 to {}", name,
                quote(*text), most);
  }
  return out;
}

// What one launcher says.
struct Told {
  const char *launcher, *rank_name, *size_name, *local_name, *local_size_name;
  bool by_slurm = false;  // or by it through PMI
  std::optional<uint64_t> rank = {}, size = {};
};

constexpr uint64_t kMost = 1'000'000;  // processes

Told ask(const Environment& environment, Told out) {
  out.rank = number(environment, out.rank_name, kMost);
  out.size = number(environment, out.size_name, kMost);
  return out;
}

// srun tells the size of its step. A script of sbatch has a rank, too, but is a step of its own.
Told ask_slurm(const Environment& environment) {
  Told out = {"srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "", true};
  if (!environment(out.size_name)) out.size_name = "SLURM_NTASKS";
  out = ask(environment, out);
  if (!out.rank || !out.size) out.rank = out.size = std::nullopt;  // a shell of salloc
  return out;
}

void check_whole(const Told& told) {
  if (!told.rank && told.size == uint64_t{1}) return;
  if (told.rank.has_value() != told.size.has_value()) {
    throw_error(ErrorKind::usage, kWhere,
                "{} is set, but {} is not; {} sets both: start with it, or unset the first",
                told.rank ? told.rank_name : told.size_name,
                told.rank ? told.size_name : told.rank_name, told.launcher);
  }
  if (told.rank && *told.rank >= *told.size) {
    throw_error(
        ErrorKind::usage, kWhere,
        "{} is {} and {} is {}; processes are numbered from 0 to one less than their number",
        told.rank_name, *told.rank, told.size_name, *told.size);
  }
}

// Variables that torchrun sets win where torchrun has set them: it may have been started by
// another launcher. Where somebody else has, they have to say what the launcher says.
void check_agreement(const Told& torch, const Told& other) {
  const auto differ = [&](const auto& a, const auto& b, const char* a_name, const char* b_name) {
    if (!a || !b || *a == *b) return;
    throw_error(ErrorKind::usage, kWhere,
                "{} is {}, but {} is {}: two launchers contradict each other; unset {} and {}, or "
                "start without {}",
                a_name, *a, b_name, *b, torch.rank_name, torch.size_name, other.launcher);
  };
  differ(torch.rank, other.rank, torch.rank_name, other.rank_name);
  differ(torch.size, other.size, torch.size_name, other.size_name);
}

Told choose(const Environment& environment) {
  const Told torch =
      ask(environment, {"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"});
  const Told mpi = ask(environment, {"mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                                     "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"});
  const Told pmi = ask(
      environment, {"mpiexec", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", true});
  const Told slurm = ask_slurm(environment);
  const bool by_torchrun = environment("TORCHELASTIC_RUN_ID").has_value();
  if (!by_torchrun) {
    for (const Told* other : {&mpi, &pmi}) check_agreement(torch, *other);
  }
  if (torch.rank && torch.size) return torch;
  for (const Told* other : {&mpi, &pmi, &slurm}) {
    if (!other->rank || !other->size) continue;
    check_agreement(torch, *other);  // one half of what torchrun sets
    return *other;
  }
  for (const Told* half : {&mpi, &pmi}) {
    if (half->rank || half->size) return *half;
  }
  return torch;
}

std::string find_address(const Environment& environment, const Launch& launch) {
  if (const auto given = environment("MASTER_ADDR")) return *given;
  if (launch.one_machine) return "127.0.0.1";
  for (const char* list : {"SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"}) {
    if (const auto machines = environment(list)) return first_machine(*machines);
  }
  throw_error(ErrorKind::usage, kWhere,
              "process {} of {} is not told where process 0 is; set MASTER_ADDR to the name of its "
              "machine for all of them (mpirun -x MASTER_ADDR=NAME)",
              launch.rank, launch.size);
}

uint16_t find_port(const Environment& environment) {
  const auto given = number(environment, "MASTER_PORT", 65535);
  if (given) {
    // torchrun waits there itself, and speaks as its own version of torch does.
    const auto agent = environment("TORCHELASTIC_USE_AGENT_STORE");
    return static_cast<uint16_t>(*given + (agent == "True" && *given < 65535 ? 1 : 0));
  }
  for (const char* job : {"SLURM_JOB_ID", "PMIX_NAMESPACE", "PMI_JOBID"}) {
    const auto name = environment(job);
    if (name) return static_cast<uint16_t>(kFirstPort + hash64(*name) % kPorts);
  }
  return kUsualPort;
}

}  // namespace

std::string first_machine(std::string_view list) {
  std::string out;
  for (size_t i = 0; i < list.size() && list[i] != ','; ++i) {
    if (list[i] != '[') {
      out += list[i];
      continue;
    }
    const size_t end = list.find(']', i);
    if (end == std::string_view::npos) break;
    const std::string_view numbers = list.substr(i + 1, end - i - 1);
    out += numbers.substr(0, numbers.find_first_of("-,"));
    i = end;
  }
  return out;
}

Launch read_launch(const Environment& environment) {
  const Told told = choose(environment);
  check_whole(told);
  Launch out;
  if (!told.rank || *told.size < 2) return out;
  out.rank = *told.rank;
  out.size = *told.size;
  const auto local = number(environment, told.local_name, out.size - 1);
  out.local_rank = local ? *local : number(environment, "SLURM_LOCALID", kMost).value_or(0);
  const auto local_size =
      *told.local_size_name == 0 ? std::nullopt : number(environment, told.local_size_name, kMost);
  const auto machines = number(environment, "SLURM_STEP_NUM_NODES", kMost);
  out.one_machine = local_size == out.size || (told.by_slurm && machines == uint64_t{1});
  out.address = find_address(environment, out);
  out.port = find_port(environment);
  out.wait_seconds = number(environment, "AKIN_WAIT_SECONDS", kMost).value_or(0);
  return out;
}

Launch read_launch() {
  return read_launch([](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr || *value == 0) return std::nullopt;
    return value;
  });
}

}  // namespace akin::train
