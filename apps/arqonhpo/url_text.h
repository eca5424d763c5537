// URLs as they may be shown.
#pragma once

#include <string>

namespace arqon::app {

// http://user:password@host -> http://host
std::string without_credentials(const std::string& url);

}  // namespace arqon::app
