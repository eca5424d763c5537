// SHA-256 and Ed25519, the only two things this room takes from a cryptographic library (OpenSSL's
// libcrypto, in digest.cc alone).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "arqon/base/result.h"

namespace arqon::audit {

inline constexpr std::size_t kHexBytes = 64;
// A SHA-256 as text: lower-case hex.
using Hash = std::array<char, kHexBytes>;
inline std::string_view view(const Hash& hash) { return {hash.data(), hash.size()}; }
// Nothing when the text is not 64 lower-case hex digits.
Result<Hash> read_hash(std::string_view text);

// One thread.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::string_view bytes);
  // The hash of what came since the last finish(); begins anew.
  Hash finish();
  Hash of(std::string_view bytes) {
    update(bytes);
    return finish();
  }

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// A signing key. Move-only; one thread.
class SigningKey {
 public:
  // From 32 bytes that nobody can guess.
  static Result<SigningKey> from_seed(std::string_view seed);
  // From 64 hex digits, as to_hex gives them.
  static Result<SigningKey> from_hex(std::string_view hex);
  SigningKey(SigningKey&&) noexcept;
  SigningKey& operator=(SigningKey&&) noexcept;
  ~SigningKey();

  const std::string& public_hex() const { return public_; }
  std::string to_hex() const;
  // 128 hex digits.
  Result<std::string> sign(std::string_view message) const;

 private:
  SigningKey();
  std::string seed_, public_;
};

// True when `signature` (128 hex digits) of `message` was made with the key of that public part.
bool signed_by(std::string_view public_hex, std::string_view message, std::string_view signature);

std::string to_hex(std::string_view bytes);

}  // namespace arqon::audit
