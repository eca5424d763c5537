// Ctrl-C as a flag.
#pragma once

#include <atomic>

namespace arqon::app {

// From here on the first SIGINT or SIGTERM sets the flag and says so on stderr; the second one ends
// the process as if nothing had been installed. SIGPIPE becomes a write error. Call once.
const std::atomic<bool>& install_interrupt();

}  // namespace arqon::app
