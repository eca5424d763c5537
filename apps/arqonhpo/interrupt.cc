#include "apps/arqonhpo/interrupt.h"

#include <unistd.h>

#include <csignal>

namespace arqon::app {
namespace {

// A signal handler can reach nothing but a global.
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void on_signal(int number) {
  if (interrupted.exchange(true)) {
    // The second one meets the default action as soon as this handler returns.
    std::signal(number, SIG_DFL);
    std::raise(number);
    return;
  }
  constexpr char kText[] = "\nstopping: what is finished will be written (again to end at once)\n";
  [[maybe_unused]] const ssize_t n = write(STDERR_FILENO, kText, sizeof(kText) - 1);
}

}  // namespace

const std::atomic<bool>& install_interrupt() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  return interrupted;
}

}  // namespace arqon::app
