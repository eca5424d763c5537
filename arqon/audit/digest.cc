#include "arqon/audit/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <utility>

#include "arqon/base/assert.h"

namespace arqon::audit {
namespace {

constexpr std::size_t kSeedBytes = 32, kSignatureBytes = 64;
constexpr char kDigits[] = "0123456789abcdef";

using Bytes = unsigned char;
const Bytes* bytes_of(std::string_view text) { return reinterpret_cast<const Bytes*>(text.data()); }

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;
struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using DigestContext = std::unique_ptr<EVP_MD_CTX, FreeContext>;

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Empty when the text is no lower-case hex of that many bytes.
std::string from_hex(std::string_view hex, std::size_t bytes) {
  std::string out;
  if (hex.size() != 2 * bytes) return out;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = digit(hex[i]), low = digit(hex[i + 1]);
    if (high < 0 || low < 0) return {};
    out.push_back(static_cast<char>(16 * high + low));
  }
  return out;
}

}  // namespace

std::string to_hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    const auto b = static_cast<Bytes>(c);
    out.push_back(kDigits[b >> 4]);
    out.push_back(kDigits[b & 15]);
  }
  return out;
}

Result<Hash> read_hash(std::string_view text) {
  const bool good = text.size() == kHexBytes &&
                    std::all_of(text.begin(), text.end(), [](char c) { return digit(c) >= 0; });
  if (!good) return fail(ErrorCode::kInvalidConfig, "a hash is 64 lower-case hex digits");
  Hash out;
  std::copy(text.begin(), text.end(), out.begin());
  return out;
}

struct Sha256::Context {
  // Fetched once: looking it up for each record costs as much as hashing it.
  std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> algorithm{
      EVP_MD_fetch(nullptr, "SHA256", nullptr), &EVP_MD_free};
  DigestContext digest{EVP_MD_CTX_new()};

  void begin() {
    const int done = EVP_DigestInit_ex2(digest.get(), algorithm.get(), nullptr);
    ARQON_ASSERT(done == 1);
  }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  ARQON_ASSERT(context_->algorithm != nullptr && context_->digest != nullptr);
  context_->begin();
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::string_view bytes) {
  const int done = EVP_DigestUpdate(context_->digest.get(), bytes.data(), bytes.size());
  ARQON_ASSERT(done == 1);
}

Hash Sha256::finish() {
  std::array<Bytes, kHexBytes / 2> raw{};
  const int done = EVP_DigestFinal_ex(context_->digest.get(), raw.data(), nullptr);
  ARQON_ASSERT(done == 1);
  context_->begin();
  Hash out;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    out[2 * i] = kDigits[raw[i] >> 4];
    out[2 * i + 1] = kDigits[raw[i] & 15];
  }
  return out;
}

SigningKey::SigningKey() = default;
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&&) noexcept = default;
SigningKey::~SigningKey() = default;

Result<SigningKey> SigningKey::from_seed(std::string_view seed) {
  if (seed.size() != kSeedBytes) {
    return fail(ErrorCode::kInvalidConfig, "a signing key is 32 bytes");
  }
  const Key key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes_of(seed), seed.size()));
  std::array<Bytes, kSeedBytes> raw{};
  std::size_t size = raw.size();
  if (key == nullptr || EVP_PKEY_get_raw_public_key(key.get(), raw.data(), &size) != 1) {
    return fail(ErrorCode::kInternal, "the signing key could not be made");
  }
  SigningKey out;
  out.seed_ = seed;
  out.public_ = audit::to_hex({reinterpret_cast<const char*>(raw.data()), size});
  return out;
}

Result<SigningKey> SigningKey::from_hex(std::string_view hex) {
  return from_seed(audit::from_hex(hex, kSeedBytes));
}

std::string SigningKey::to_hex() const { return audit::to_hex(seed_); }

Result<std::string> SigningKey::sign(std::string_view message) const {
  const Key key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes_of(seed_), seed_.size()));
  const DigestContext context(EVP_MD_CTX_new());
  std::array<Bytes, kSignatureBytes> raw{};
  std::size_t size = raw.size();
  const bool done =
      key != nullptr &&
      EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
      EVP_DigestSign(context.get(), raw.data(), &size, bytes_of(message), message.size()) == 1;
  if (!done) return fail(ErrorCode::kInternal, "the checkpoint could not be signed");
  return audit::to_hex({reinterpret_cast<const char*>(raw.data()), size});
}

bool signed_by(std::string_view public_hex, std::string_view message, std::string_view signature) {
  const std::string raw_key = from_hex(public_hex, kSeedBytes);
  const std::string raw = from_hex(signature, kSignatureBytes);
  if (raw_key.empty() || raw.empty()) return false;
  const Key key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(raw_key), raw_key.size()));
  const DigestContext context(EVP_MD_CTX_new());
  return key != nullptr &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
         EVP_DigestVerify(context.get(), bytes_of(raw), raw.size(), bytes_of(message),
                          message.size()) == 1;
}

}  // namespace arqon::audit
