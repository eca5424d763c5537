// How the project's errors become Python exceptions: the one place where both meet.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/wire/diagnostic.h"

namespace arqon::python {

// Thrown by the module's functions only; translated to a class of arqonhpo.errors by its code.
struct Failure {
  ErrorCode code;
  std::string message;
  std::vector<std::string> diagnostics;  // one line a mistake in a document, else empty
};

Failure failure(const Error& error);
// A document with mistakes; `name` stands in front of each line, e.g. "config".
Failure failure(const wire::Diagnostics& diagnostics, std::string_view name);

// Registers the translation. Call once, in the module's definition.
void register_errors();

}  // namespace arqon::python
