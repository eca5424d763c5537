#include "apps/arqonhpo/endpoint.h"

#include <fmt/format.h>

#include "apps/arqonhpo/url_text.h"
#include "arqon/net/http.h"
#include "arqon/wire/json.h"

namespace arqon::app {

namespace {

std::uint32_t count_of(const wire::Value* value) {
  return value != nullptr && value->number() >= 2 && value->number() < 1e9
             ? static_cast<std::uint32_t>(value->number())
             : 0;
}

}  // namespace

Result<Served> look_at(const std::string& url, const std::string& model, const std::string& key) {
  std::string base = url;
  while (base.ends_with('/')) base.pop_back();
  if (!base.ends_with("/v1")) base += "/v1";
  net::Client client;
  net::Request request;
  request.url = base + "/models";
  request.timeout = std::chrono::seconds(5);
  if (!key.empty()) request.headers.emplace_back("Authorization", "Bearer " + key);
  const auto answer = client.send(request);
  if (!answer) {
    std::string why = answer.error().message;
    if (const std::size_t at = why.find(request.url); at != std::string::npos) {
      why.replace(at, request.url.size(), without_credentials(request.url));
    }
    return fail(ErrorCode::kUnavailable,
                fmt::format("nobody serves {}: {}. Is the server up? `arqonhpo doctor ENGINE URL` "
                            "looks closer.",
                            without_credentials(url), why));
  }
  Served served{model, 0, 0};
  const auto page = wire::parse_json(answer->body);
  const wire::Value* list = page ? page->find("data") : nullptr;
  const wire::Array* models = list != nullptr ? list->as_array() : nullptr;
  for (const wire::Value& entry : models != nullptr ? *models : wire::Array{}) {
    const wire::Value* id = entry.find("id");
    if (id == nullptr || id->as_string() == nullptr) continue;
    if (served.model.empty()) served.model = *id->as_string();
    if (served.model != *id->as_string()) continue;
    served.context_max = count_of(entry.find("max_model_len"));  // vLLM, SGLang
    const wire::Value* meta = entry.find("meta");                // llama.cpp
    if (meta == nullptr || meta->as_object() == nullptr) continue;
    served.context_max = count_of(meta->find("n_ctx"));
    served.vocabulary = count_of(meta->find("n_vocab"));
  }
  if (served.model.empty()) {
    return fail(ErrorCode::kUsage,
                fmt::format("{}/models does not name a model (status {}); say --model NAME",
                            without_credentials(base), answer->status));
  }
  return served;
}

}  // namespace arqon::app
