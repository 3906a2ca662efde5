// A TLS context from PEM files: TLS 1.2 and later. Internal to server.cc.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>

namespace akin::serve {

// Errors: bad_format, naming the file that cannot be used.
std::shared_ptr<boost::asio::ssl::context> make_tls(const std::string& cert,
                                                    const std::string& key);

}  // namespace akin::serve
