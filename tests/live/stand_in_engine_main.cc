// stand_in_engine SOCKET [KNOB=VALUE | version=TEXT | rate=N]...: the stand-in engine as a process.
#include <cstdlib>
#include <string>

#include "arqon/testing/stand_in_engine.h"

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  arqon::testing::StandInOptions options{.socket = argv[1]};
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) return 2;
    const std::string name = word.substr(0, equals), value = word.substr(equals + 1);
    if (name == "version") {
      options.version = value;
    } else if (name == "rate") {
      options.rate_per_s = std::strtod(value.c_str(), nullptr);
    } else {
      options.boot[name] = std::strtod(value.c_str(), nullptr);
    }
  }
  return arqon::testing::StandInServer(options).run();
}
