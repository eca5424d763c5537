// Documents that must be refused: one mutation each of a valid one. Tests only; the files in
// tests/corpora/malformed are written from this table.
#pragma once

#include <string>
#include <vector>

namespace arqon::documents {

struct MalformedCase {
  std::string name;  // also the file's name
  std::string text;
  std::string path;  // that the first diagnostic names
  std::string at;    // where in the text its place begins; empty = not checked
  std::string hint;  // part of its hint; empty = not checked
};

std::vector<MalformedCase> malformed_studies();
std::vector<MalformedCase> malformed_scenarios();

}  // namespace arqon::documents
