// Expected failures as values: Result<T> carries either a T or an Error. No exception crosses a
// module boundary.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace arqon {

// Each code maps to one process exit code (see exit_code) and one Python exception.
enum class ErrorCode {
  kInternal,         // a bug of ours that could be reported instead of aborting
  kUsage,            // wrong call or command line
  kInvalidConfig,    // a document or an argument that breaks its contract
  kRefused,          // the guard said no
  kInconclusive,     // evidence was not enough
  kRolledBack,       // a change was taken back
  kConflict,         // somebody else holds it, or the state has moved on
  kUnavailable,      // file, engine or service is not there or does not answer
  kInterrupted,      // the user asked to stop
};

// Snake-case name of a code, e.g. "invalid_config".
std::string_view to_string(ErrorCode code);
// Exit code of a process that ends with `code`: 1..8, 130.
int exit_code(ErrorCode code);

struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;

  // The same error with "context: " put in front, for the way up.
  Error with_context(std::string_view context) const;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(ErrorCode code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}

}  // namespace arqon
