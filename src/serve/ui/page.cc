#include "serve/ui/page.h"

namespace akin::serve {
namespace {

// Raw strings, a file each, so that each is edited as what it is.
constexpr const char* kStyle =
#include "serve/ui/page_style.inc"
    ;
constexpr const char* kBody =
#include "serve/ui/page_body.inc"
    ;
constexpr const char* kMath =
#include "serve/ui/page_math.inc"
    ;
constexpr const char* kScript =
#include "serve/ui/page_script.inc"
    ;

}  // namespace

std::string ui_page() {
  std::string out =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>akin</title>\n"
      "<link rel=\"icon\" href=\"data:,\">\n<style>\n";
  out += kStyle;
  out += "</style>\n</head>\n<body>\n";
  out += kBody;
  out += "<script>\n";
  out += kMath;
  out += kScript;
  out += "</script>\n</body>\n</html>\n";
  return out;
}

}  // namespace akin::serve
