// The frame of akin's reports: colours for light and dark, cards, tables, figures, samples. No
// fonts, no pictures, no outside resources.
#include <fmt/format.h>

#include "base/html.h"

namespace akin {
namespace {

constexpr std::string_view kStyle = R"css(
:root{color-scheme:light dark;--bg:#ffffff;--fg:#1b1f24;--mut:#5f6873;--line:#d9dee4;--soft:#f4f6f8;
--good:#0a7d4f;--bad:#b42318;
--c0:#2563eb;--c1:#d97706;--c2:#059669;--c3:#c026d3;--c4:#0891b2;--c5:#dc2626;--c6:#65a30d;--c7:#6b7280}
@media (prefers-color-scheme:dark){:root{--bg:#14171b;--fg:#e6e9ed;--mut:#9aa4af;--line:#333a43;
--soft:#1c2127;--good:#4cc38a;--bad:#ff8f85;
--c0:#6ea0ff;--c1:#f5a742;--c2:#3ecf9a;--c3:#e879f9;--c4:#38c6e0;--c5:#ff7b72;--c6:#a3d64c;--c7:#a0a8b3}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--fg);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Noto Sans CJK SC",sans-serif}
main{max-width:1080px;margin:0 auto;padding:28px 24px 64px}
h1{font-size:26px;line-height:1.25;margin:0 0 4px}h2{font-size:18px;margin:36px 0 6px}
h3{font-size:15px;margin:0 0 8px}
p{margin:4px 0 12px}p,li{max-width:82ch}.mut,footer{color:var(--mut)}footer{font-size:13px}
.cards{display:flex;flex-wrap:wrap;gap:12px;margin:16px 0}
.card{border:1px solid var(--line);border-radius:8px;padding:10px 16px;min-width:150px}
.card b{display:block;font-size:22px;line-height:1.3;font-variant-numeric:tabular-nums}
.wrap{overflow-x:auto;border:1px solid var(--line);border-radius:8px;margin:10px 0}
table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums}
th,td{padding:5px 9px;text-align:right;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600;background:var(--soft)}th.l,td.l{text-align:left;overflow-wrap:anywhere}
tr:last-child td{border-bottom:0}
figure{margin:12px 0;padding:14px;border:1px solid var(--line);border-radius:8px}
svg{display:block;width:100%;height:auto;font:12px system-ui,-apple-system,"Segoe UI",sans-serif}
svg text{fill:var(--fg)}
details{border:1px solid var(--line);border-radius:8px;margin:8px 0;padding:8px 14px}
summary{cursor:pointer;font-weight:600}
hr{border:0;border-top:1px solid var(--line)}
@media print{main{max-width:none;padding:0}.wrap{overflow:visible}
figure,details{break-inside:avoid}}
)css";

}  // namespace

std::string html_page(std::string_view title, std::string_view body, std::string_view style,
                      std::string_view script) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{}</title>\n<style>{}{}</style></head><body><main>\n{}"
      "<footer><p>Written by akin {}. This file needs nothing else.</p></footer>\n"
      "</main>{}{}{}</body></html>\n",
      html_escape(title), kStyle, style, body, AKIN_VERSION, script.empty() ? "" : "<script>",
      script, script.empty() ? "" : "</script>");
}

}  // namespace akin
