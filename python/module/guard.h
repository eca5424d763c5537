// The guard and the evidence for Python.
#pragma once

#include <nanobind/nanobind.h>

namespace arqon::python {

void register_guard(nanobind::module_& module);

}  // namespace arqon::python
