// Writes the malformed documents of the table as files: MALFORMED_CORPUS DIRECTORY. Run it after a
// change of the table; a test compares.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "arqon/documents/malformed_test_cases.h"

namespace {

// Larger ones are made where they are needed.
constexpr std::size_t kFileBytesMax = 200'000;

bool write(const std::filesystem::path& folder,
           const std::vector<arqon::documents::MalformedCase>& cases) {
  std::filesystem::create_directories(folder);
  for (const auto& c : cases) {
    if (c.text.size() > kFileBytesMax) continue;
    std::ofstream out(folder / (c.name + ".json"), std::ios::binary);
    out.write(c.text.data(), static_cast<std::streamsize>(c.text.size()));
    if (!out) return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  const bool ok = write(folder / "study", arqon::documents::malformed_studies()) &&
                  write(folder / "scenario", arqon::documents::malformed_scenarios());
  return ok ? 0 : 1;
}
