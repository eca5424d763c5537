// Always-on assertions: a bug stops the process at the line that found it.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace arqon::internal {
[[noreturn]] inline void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
  std::abort();
}
}  // namespace arqon::internal

// Aborts when `expression` is false, in every build. For bugs only, never for bad input.
#define ARQON_ASSERT(expression) \
  ((expression) ? void(0) : ::arqon::internal::assertion_failed(#expression, __FILE__, __LINE__))

// Debug-only assertion for checks too costly to ship.
#ifdef NDEBUG
#define ARQON_DCHECK(expression) void(0)
#else
#define ARQON_DCHECK(expression) ARQON_ASSERT(expression)
#endif
