#include "arqon/calibrate/read_observations.h"

#include <gtest/gtest.h>

namespace arqon::calibrate {
namespace {

constexpr const char* kHeader = "t_s,seconds,running,finished,prompt_tokens,output_tokens,gap_ms\n";

wire::Diagnostic only_problem(const std::string& text) {
  const auto read = read_observations(text);
  EXPECT_FALSE(read) << text;
  if (read) return {};
  EXPECT_EQ(read.error().size(), 1u) << text;
  return read.error().front();
}

TEST(ReadObservations, a_table_and_the_same_windows_as_json_are_read_alike) {
  const auto csv =
      read_observations(std::string(kHeader) + "10,10,2.5,20,400,800,12\n" + "20,10,3,,500,900,\n");
  ASSERT_TRUE(csv);
  ASSERT_EQ(csv->size(), 2u);
  EXPECT_EQ((*csv)[0].running, 2.5);
  EXPECT_EQ((*csv)[0].gap_ms, 12);
  EXPECT_EQ((*csv)[1].finished, 0) << "an empty cell is not told";
  EXPECT_EQ((*csv)[1].kv_use, -1);
  const auto json = read_observations(
      R"({"schema": 1, "windows": [{"t_s": 10, "seconds": 10, "running": 2.5, "finished": 20,
          "prompt_tokens": 400, "output_tokens": 800, "gap_ms": 12}]})");
  ASSERT_TRUE(json);
  EXPECT_EQ((*json)[0].prompt_length(), (*csv)[0].prompt_length());
  EXPECT_EQ((*json)[0].gap_ms, 12);
}

TEST(ReadObservations, every_mistake_names_its_place_and_the_way_out) {
  const auto column =
      only_problem("seconds,finished,prompt_tokens,output_tokens,gapms\n1,1,1,1,1\n");
  EXPECT_EQ(column.path, "gapms");
  EXPECT_EQ(column.hint, "did you mean \"gap_ms\"?");
  const auto number = only_problem(std::string(kHeader) + "10,10,x,20,400,800,12\n");
  EXPECT_EQ(number.path, "running");
  EXPECT_EQ(number.line, 2);
  EXPECT_EQ(number.value, "x");
  EXPECT_EQ(only_problem(std::string(kHeader) + "10,10,-1,20,400,800,12\n").path, "running");
  EXPECT_EQ(only_problem(std::string(kHeader) + "10,0,1,20,400,800,12\n").line, 2);
  EXPECT_EQ(only_problem(std::string(kHeader) + "10,1,1,2,4,8,12\n9,1,1,2,4,8,1\n").line, 3);
  EXPECT_EQ(only_problem("seconds,finished,prompt_tokens\n1,1,1\n").path, "output_tokens");
  EXPECT_EQ(only_problem(std::string(kHeader) + "1,2\n").line, 2);
  EXPECT_EQ(only_problem(kHeader).message, "there is no window in it");
  const auto key = only_problem(
      R"({"schema": 1, "windows": [{"seconds": 1, "finished": 1, "prompt_tokens": 1,
          "output_tokens": 1, "kv_us": 0.5}]})");
  EXPECT_EQ(key.path, "windows[0].kv_us");
  EXPECT_EQ(key.line, 2);
  EXPECT_EQ(key.hint, "did you mean \"kv_use\"?");
}

}  // namespace
}  // namespace arqon::calibrate
