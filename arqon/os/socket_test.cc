#include "arqon/os/socket.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>

namespace arqon::os {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

class Sockets : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "arqon_sock.XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path path() const { return folder_ / "s"; }
  fs::path folder_;
};

sockaddr_un address(const fs::path& path) {
  sockaddr_un out{};
  out.sun_family = AF_UNIX;
  std::memcpy(out.sun_path, path.c_str(), path.native().size() + 1);
  return out;
}

Fd connected(const fs::path& path, int type = SOCK_STREAM) {
  Fd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  const sockaddr_un to = address(path);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  return fd;
}

// Serves until told to stop, as a loop with a control socket would.
class Serving {
 public:
  Serving(UnixListener& listener, std::function<std::string(std::string_view)> answer)
      : thread_([this, &listener, answer = std::move(answer)] {
          while (!stop_) {
            pollfd p{listener.fd(), POLLIN, 0};
            if (::poll(&p, 1, 5) > 0) listener.serve(answer);
          }
        }) {}
  ~Serving() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

TEST_F(Sockets, a_question_gets_its_answer_and_large_answers_come_whole) {
  UnixListener listener = UnixListener::open(path()).value();
  const std::string large(3'000'000, 'x');
  const Serving serving(listener, [&](std::string_view line) {
    return line == "large" ? large : "you said " + std::string(line) + "\n";
  });
  EXPECT_EQ(ask_unix(path(), "status\n", seconds(5)).value(), "you said status\n");
  EXPECT_EQ(ask_unix(path(), "no newline", seconds(5)).value(), "you said no newline\n");
  EXPECT_EQ(ask_unix(path(), "large\n", seconds(5)).value(), large);
  const auto bounded = ask_unix(path(), "large\n", seconds(5), 1000);
  EXPECT_EQ(bounded.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(bounded.error().message.find("1000 bytes"), std::string::npos);
}

TEST_F(Sockets, a_silent_server_costs_the_timeout_and_no_more) {
  const UnixListener listener = UnixListener::open(path()).value();  // never serves
  const auto answer = ask_unix(path(), "status\n", milliseconds(50));
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(answer.error().message.find("50 ms"), std::string::npos) << answer.error().message;
  EXPECT_EQ(ask_unix(folder_ / "none", "x\n", seconds(1)).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(ask_unix(std::string(200, 'p'), "x\n", seconds(1)).error().code,
            ErrorCode::kInvalidConfig);
}

TEST_F(Sockets, a_full_backlog_obeys_the_timeout_too) {
  const UnixListener listener = UnixListener::open(path()).value();
  std::vector<Fd> waiting;
  const sockaddr_un to = address(path());
  while (waiting.size() < 200) {
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) break;
    waiting.push_back(std::move(fd));
  }
  ASSERT_LT(waiting.size(), 200u);
  EXPECT_EQ(ask_unix(path(), "x\n", milliseconds(50)).error().code, ErrorCode::kUnavailable);
}

TEST_F(Sockets, the_socket_is_for_its_owner_and_goes_with_its_listener) {
  {
    const UnixListener listener = UnixListener::open(path()).value();
    struct stat entry {};
    ASSERT_EQ(::stat(path().c_str(), &entry), 0);
    EXPECT_EQ(entry.st_mode & 0777u, 0600u);
    EXPECT_EQ(UnixListener::open(path()).error().code, ErrorCode::kConflict);
    EXPECT_TRUE(fs::exists(path())) << "the loser leaves it alone";
  }
  EXPECT_FALSE(fs::exists(path()));
}

TEST_F(Sockets, a_dead_socket_file_is_replaced_and_a_plain_file_is_not) {
  {
    const Fd dead(::socket(AF_UNIX, SOCK_STREAM, 0));
    const sockaddr_un at = address(path());
    ASSERT_EQ(::bind(dead.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
  }
  ASSERT_TRUE(fs::exists(path()));
  EXPECT_TRUE(UnixListener::open(path()).has_value());
  fs::create_directory(folder_ / "d");
  EXPECT_EQ(UnixListener::open(folder_ / "d").error().code, ErrorCode::kConflict);
}

TEST_F(Sockets, one_mute_caller_does_not_cost_the_others_their_answer) {
  UnixListener listener = UnixListener::open(path()).value();
  const Fd mute = connected(path());
  const Fd caller = connected(path());
  ASSERT_EQ(::write(caller.get(), "a\n", 2), 2);
  listener.serve([](std::string_view line) { return std::string(line) + "!"; });
  char buffer[8];
  EXPECT_EQ(::read(caller.get(), buffer, sizeof buffer), 2);
  EXPECT_EQ(::read(mute.get(), buffer, sizeof buffer), 0) << "cut after its second";
}

TEST_F(Sockets, a_line_beyond_the_bound_is_cut_without_an_answer) {
  UnixListener listener = UnixListener::open(path()).value();
  const Serving serving(listener, [](std::string_view) { return std::string("answered"); });
  EXPECT_NE(ask_unix(path(), std::string(100'000, 'x') + "\n", seconds(5)).value_or(""),
            "answered");
  EXPECT_EQ(ask_unix(path(), std::string(60'000, 'x') + "\n", seconds(5)).value(), "answered");
}

TEST_F(Sockets, unix_datagrams_arrive_whole_and_in_order) {
  DatagramReceiver receiver = DatagramReceiver::open_unix(path()).value();
  EXPECT_EQ(receiver.next(), std::nullopt);
  const Fd sender = connected(path(), SOCK_DGRAM);
  const std::string large(20'000, 'z');
  ASSERT_EQ(::send(sender.get(), "one", 3, 0), 3);
  ASSERT_EQ(::send(sender.get(), large.data(), large.size(), 0), 20'000);
  EXPECT_EQ(receiver.next(), "one");
  EXPECT_EQ(receiver.next(), large);
  EXPECT_EQ(receiver.next(), std::nullopt);
  EXPECT_EQ(DatagramReceiver::open_unix(path()).error().code, ErrorCode::kConflict);
}

Fd udp_to(std::uint16_t port) {
  Fd fd(::socket(AF_INET, SOCK_DGRAM, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(port);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  return fd;
}

TEST_F(Sockets, udp_datagrams_arrive_and_what_the_kernel_drops_is_counted) {
  DatagramReceiver receiver = DatagramReceiver::open_udp(0).value();
  EXPECT_NE(receiver.port(), 0);
  EXPECT_EQ(DatagramReceiver::open_udp(receiver.port()).error().code, ErrorCode::kConflict);
  const Fd sender = udp_to(receiver.port());
  ASSERT_EQ(::send(sender.get(), "log line", 8, 0), 8);
  EXPECT_EQ(receiver.next(), "log line");
  EXPECT_EQ(receiver.dropped(), 0u);
  const std::string block(32'000, 'b');
  std::uint64_t sent = 0;
  for (; sent < 2000 && receiver.dropped() == 0; ++sent) {
    ::send(sender.get(), block.data(), block.size(), 0);
  }
  ASSERT_GT(receiver.dropped(), 0u);
  std::uint64_t got = 0;
  while (receiver.next()) ++got;
  EXPECT_EQ(got + receiver.dropped(), sent);
}

}  // namespace
}  // namespace arqon::os
