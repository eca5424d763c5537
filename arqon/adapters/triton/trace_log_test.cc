#include "arqon/adapters/triton/trace_log.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "arqon/adapters/triton/triton_test_fake.h"

namespace arqon::adapters::triton {
namespace {

namespace fs = std::filesystem;

struct Folder {
  fs::path path = fs::temp_directory_path() / fmt::format("arqon_trace_{}", ::getpid());
  Folder() { fs::remove_all(path), fs::create_directory(path); }
  ~Folder() { fs::remove_all(path); }
  fs::path file(int number) const { return path / fmt::format("t.json.{}", number); }
  void write(int number, std::string_view text, int age_s = 0) const {
    ASSERT_TRUE(os::write_file(file(number), text));
    fs::last_write_time(file(number), fs::file_time_type::clock::now() + std::chrono::hours(1) +
                                          std::chrono::seconds(10 * number - age_s));
  }
};

std::string one_request(int ms) {
  return fmt::format(R"([{{"id":1,"model_name":"sleeper","model_version":1}},)"
                     R"({{"id":1,"timestamps":[{{"name":"REQUEST_START","ns":1000}}]}},)"
                     R"({{"id":1,"timestamps":[{{"name":"COMPUTE_START","ns":2000}}]}},)"
                     R"({{"id":1,"timestamps":[{{"name":"REQUEST_END","ns":{}}}]}}])",
                     1000 + ms * 1'000'000);
}

TEST(TritonTrace, a_recorded_file_tells_served_refused_and_timed_out) {
  const auto requests = parse_trace(recorded("trace.json"), "sleeper");
  ASSERT_TRUE(requests.has_value()) << requests.error().message;
  ASSERT_EQ(requests->size(), 6u);
  EXPECT_EQ(std::ranges::count(*requests, true, &TracedRequest::served), 3);
  for (const TracedRequest& request : *requests) {
    if (request.served) {
      EXPECT_GT(request.e2e_ms(), 9.0);  // 8 + 1 ms of work
      EXPECT_LT(request.e2e_ms(), 100.0);
    }
  }
  EXPECT_TRUE(parse_trace(recorded("trace.json"), "another model").value().empty());
}

TEST(TritonTrace, text_that_is_no_list_of_events_is_an_error) {
  const std::string whole = recorded("trace.json");
  for (const std::string& text :
       {whole.substr(0, whole.size() / 2), std::string(), std::string("{}"),
        std::string(R"([{"timestamps":[]}])"), std::string(R"([{"id":1,"timestamps":{}}])"),
        std::string(R"([{"id":1,"timestamps":[{"name":"REQUEST_END","ns":-1}]}])")}) {
    EXPECT_FALSE(parse_trace(text, "sleeper")) << text;
  }
  EXPECT_TRUE(parse_trace("[]", "sleeper").value().empty());
}

TEST(TritonTrace, files_are_taken_once_in_order_and_only_when_whole) {
  const Folder folder;
  TraceLog log(folder.path / "t.json", "sleeper");
  log.skip_existing();
  EXPECT_TRUE(log.poll().empty());
  folder.write(0, one_request(10));
  folder.write(1, one_request(20));
  folder.write(2, one_request(30).substr(0, 90));  // still being written
  const auto two = log.poll();
  ASSERT_EQ(two.size(), 2u);
  EXPECT_NEAR(two[0].e2e_ms(), 10, 1e-9);
  EXPECT_NEAR(two[1].e2e_ms(), 20, 1e-9);
  EXPECT_TRUE(log.poll().empty());
  folder.write(2, one_request(30));
  EXPECT_EQ(log.poll().size(), 1u);
  EXPECT_EQ(log.unreadable(), 0u);
}

TEST(TritonTrace, a_server_that_restarted_before_attach_is_read_from_its_first_file) {
  const Folder folder;
  folder.write(0, one_request(10));
  folder.write(1, one_request(20));
  TraceLog log(folder.path / "t.json", "sleeper");
  log.skip_existing();  // both are the dead server's
  folder.write(0, one_request(30), -1000);
  folder.write(1, one_request(40), -1000);
  EXPECT_EQ(log.poll().size(), 2u);
  folder.write(2, one_request(50), -1000);
  EXPECT_EQ(log.poll().size(), 1u);
}

TEST(TritonTrace, a_file_that_stays_broken_is_passed_over_once_the_next_is_there) {
  const Folder folder;
  TraceLog log(folder.path / "t.json", "sleeper");
  folder.write(0, "garbage");
  EXPECT_TRUE(log.poll().empty());
  folder.write(1, one_request(20));
  EXPECT_EQ(log.poll().size(), 1u);
  EXPECT_EQ(log.unreadable(), 1u);
}

TEST(TritonTrace, files_of_an_earlier_server_do_not_count) {
  const Folder folder;
  folder.write(0, one_request(10));
  folder.write(1, one_request(20));
  folder.write(2, one_request(99), 2000);  // left by a run before that
  TraceLog log(folder.path / "t.json", "sleeper");
  log.skip_existing();
  EXPECT_TRUE(log.poll().empty());
  folder.write(2, one_request(30));
  EXPECT_EQ(log.poll().size(), 1u);
  // The server restarts and writes from 0 again.
  EXPECT_TRUE(log.poll().empty());
  folder.write(0, one_request(40), -1000);
  const auto again = log.poll();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_NEAR(again[0].e2e_ms(), 40, 1e-9);
}

}  // namespace
}  // namespace arqon::adapters::triton
