#include "python/module/errors.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <exception>

namespace nb = nanobind;

namespace arqon::python {
namespace {

// Class of arqonhpo.errors for each code.
const char* class_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInternal: return "InternalError";
    case ErrorCode::kUsage: return "UsageError";
    case ErrorCode::kInvalidConfig: return "ConfigError";
    case ErrorCode::kRefused: return "RefusedError";
    case ErrorCode::kInconclusive: return "InconclusiveError";
    case ErrorCode::kRolledBack: return "RolledBackError";
    case ErrorCode::kConflict: return "ConflictError";
    case ErrorCode::kUnavailable: return "UnavailableError";
    case ErrorCode::kInterrupted: return "InterruptedError";
  }
  return "ArqonError";
}

void translate(const std::exception_ptr& thrown, void*) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Failure& f) {
    const nb::object type = nb::module_::import_("arqonhpo.errors").attr(class_name(f.code));
    const nb::object instance = type(f.message, f.diagnostics);
    PyErr_SetObject(type.ptr(), instance.ptr());
  }
}

}  // namespace

Failure failure(const Error& error) { return {error.code, error.message, {}}; }

Failure failure(const wire::Diagnostics& diagnostics, std::string_view name) {
  Failure out{ErrorCode::kInvalidConfig, "", {}};
  for (const wire::Diagnostic& d : diagnostics) {
    out.diagnostics.push_back(wire::to_string(d, name));
    out.message += (out.message.empty() ? "" : "\n") + out.diagnostics.back();
  }
  return out;
}

void register_errors() { nb::register_exception_translator(translate, nullptr); }

}  // namespace arqon::python
