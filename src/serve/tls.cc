#include "serve/tls.h"

#include "base/error.h"

namespace akin::serve {

namespace ssl = boost::asio::ssl;

std::shared_ptr<ssl::context> make_tls(const std::string& cert, const std::string& key) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  context->set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 |
                       ssl::context::no_sslv3 | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1 |
                       ssl::context::single_dh_use);
  boost::system::error_code error;
  context->use_certificate_chain_file(cert, error);
  if (error) {
    throw_error(ErrorKind::bad_format, cert, "cannot be used as a certificate chain (PEM): {}",
                error.message());
  }
  context->use_private_key_file(key, ssl::context::pem, error);
  if (error) {
    throw_error(ErrorKind::bad_format, key, "cannot be used as the certificate's key (PEM): {}",
                error.message());
  }
  return context;
}

}  // namespace akin::serve
