// What launchers put into the environment, and what of it makes no sense.
#include "train/distributed_launch.h"

#include <gtest/gtest.h>

#include <map>

#include "base/error.h"

namespace akin::train {
namespace {

using Variables = std::map<std::string, std::string>;

Launch launch(const Variables& variables) {
  return read_launch([&](const std::string& name) -> std::optional<std::string> {
    const auto it = variables.find(name);
    if (it == variables.end() || it->second.empty()) return std::nullopt;
    return it->second;
  });
}

std::string refused(const Variables& variables) {
  try {
    launch(variables);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.message();
  }
  ADD_FAILURE() << "not refused";
  return {};
}

TEST(Launch, OneProcessWhenNobodySaysOtherwise) {
  EXPECT_EQ(launch({}).size, 1U);
  EXPECT_EQ(launch({{"RANK", "0"}, {"WORLD_SIZE", "1"}}).size, 1U);
  EXPECT_EQ(launch({{"SLURM_NTASKS", "4"}}).size, 1U);  // a shell of salloc
  // A script of sbatch that starts a program without srun.
  EXPECT_EQ(
      launch({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}, {"SLURM_STEP_NUM_TASKS", "1"}}).size,
      1U);
}

TEST(Launch, Torchrun) {
  Variables variables = {{"RANK", "5"},        {"WORLD_SIZE", "8"},
                         {"LOCAL_RANK", "1"},  {"LOCAL_WORLD_SIZE", "4"},
                         {"MASTER_ADDR", "a"}, {"MASTER_PORT", "1234"}};
  Launch out = launch(variables);
  EXPECT_EQ(out.rank, 5U);
  EXPECT_EQ(out.size, 8U);
  EXPECT_EQ(out.local_rank, 1U);
  EXPECT_EQ(out.address, "a");
  EXPECT_EQ(out.port, 1234);
  EXPECT_FALSE(out.one_machine);
  variables["TORCHELASTIC_USE_AGENT_STORE"] = "True";
  EXPECT_EQ(launch(variables).port, 1235);
  // torchrun on each machine, started by others: its numbers count.
  variables["TORCHELASTIC_RUN_ID"] = "none";
  variables.insert({{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "2"}});
  variables.insert({{"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "2"}});
  out = launch(variables);
  EXPECT_EQ(out.rank, 5U);
  EXPECT_EQ(out.size, 8U);
}

TEST(Launch, Mpirun) {
  Variables variables = {{"OMPI_COMM_WORLD_RANK", "1"},
                         {"OMPI_COMM_WORLD_SIZE", "2"},
                         {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                         {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                         {"PMIX_NAMESPACE", "1276510209"}};
  const Launch out = launch(variables);
  EXPECT_EQ(out.rank, 1U);
  EXPECT_EQ(out.address, "127.0.0.1");
  EXPECT_TRUE(out.one_machine);
  EXPECT_GE(out.port, 20000);
  EXPECT_LT(out.port, 32000);
  variables["PMIX_NAMESPACE"] = "1276510210";  // another job beside it
  EXPECT_NE(launch(variables).port, out.port);
  variables["OMPI_COMM_WORLD_LOCAL_SIZE"] = "1";
  EXPECT_NE(refused(variables).find("MASTER_ADDR"), std::string::npos);
  variables["MASTER_ADDR"] = "node1";
  EXPECT_EQ(launch(variables).address, "node1");
  EXPECT_EQ(launch({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}, {"MPI_LOCALNRANKS", "2"}}).size, 2U);
}

TEST(Launch, Slurm) {
  const Launch out = launch({{"SLURM_PROCID", "3"},
                             {"SLURM_NTASKS", "4"},
                             {"SLURM_LOCALID", "1"},
                             {"SLURM_NODELIST", "gpu[03-05,9],login"},
                             {"SLURM_JOB_ID", "77"}});
  EXPECT_EQ(out.rank, 3U);
  EXPECT_EQ(out.size, 4U);
  EXPECT_EQ(out.local_rank, 1U);
  EXPECT_EQ(out.address, "gpu03");
  EXPECT_GE(out.port, 20000);
  EXPECT_EQ(first_machine("node7"), "node7");
  EXPECT_EQ(first_machine("a,b"), "a");
  EXPECT_EQ(first_machine("rack[1-2]node[004,6-8]"), "rack1node004");
  EXPECT_EQ(first_machine("broken[1-"), "broken");
}

TEST(Launch, RefusesWhatMakesNoSense) {
  EXPECT_NE(refused({{"RANK", "0"}}).find("WORLD_SIZE is not"), std::string::npos);
  EXPECT_NE(refused({{"WORLD_SIZE", "2"}}).find("RANK is not"), std::string::npos);
  EXPECT_NE(refused({{"RANK", "2"}, {"WORLD_SIZE", "2"}}).find("from 0"), std::string::npos);
  EXPECT_NE(refused({{"RANK", "x"}, {"WORLD_SIZE", "2"}}).find("expected a number"),
            std::string::npos);
  EXPECT_NE(refused({{"RANK", "-1"}, {"WORLD_SIZE", "2"}}).find("expected a number"),
            std::string::npos);
  EXPECT_NE(refused({{"RANK", "0"}, {"WORLD_SIZE", "2"}}).find("MASTER_ADDR"), std::string::npos);
  EXPECT_NE(
      refused({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "99999"}})
          .find("MASTER_PORT"),
      std::string::npos);
  const Variables both = {{"RANK", "0"},
                          {"WORLD_SIZE", "4"},
                          {"OMPI_COMM_WORLD_RANK", "0"},
                          {"OMPI_COMM_WORLD_SIZE", "2"}};
  EXPECT_NE(refused(both).find("contradict"), std::string::npos);
  EXPECT_NE(refused({{"WORLD_SIZE", "4"}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "2"}})
                .find("contradict"),
            std::string::npos);
}

}  // namespace
}  // namespace akin::train
