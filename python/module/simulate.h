// The twin behind one function: a scenario's text in, the result's text and the requests' columns
// out.
#pragma once

#include <nanobind/nanobind.h>

namespace arqon::python {

void register_simulate(nanobind::module_& m);

}  // namespace arqon::python
