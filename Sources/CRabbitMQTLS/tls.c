#include "crabbitmqtls.h"

#include <amqp.h>
#include <amqp_ssl_socket.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

struct crabbitmq_tls {
  amqp_socket_t *socket;
  SSL_CTX *context;
  // Belongs to the socket. NULL before the handshake.
  SSL *session;
  // Sent as SNI; NULL for an IP address (RFC 6066, section 3).
  char *server_name;
  bool verifies;
  // Why the server's certificate is not trusted; X509_V_OK if it is.
  int refusal;
  bool read_needs_write;
  bool write_needs_read;
  // The last read has ended the connection.
  bool has_ended;
};

// librabbitmq tells nobody its session. OpenSSL calls this when the handshake begins, before the first message is made.
static void handshake_began(const SSL *session, int event, int value) {
  (void)value;
  if (event != SSL_CB_HANDSHAKE_START) return;
  crabbitmq_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(session));
  tls->session = (SSL *)session;
  SSL_set_tlsext_host_name(tls->session, tls->server_name);
}

static int verify(X509_STORE_CTX *chain, void *pointer) {
  crabbitmq_tls *tls = pointer;
  int is_valid = X509_verify_cert(chain);
  tls->refusal = X509_STORE_CTX_get_error(chain);
  return is_valid > 0;
}

// OpenSSL's own asks on the terminal.
static int no_password(char *buffer, int size, int is_writing, void *data) {
  (void)buffer, (void)size, (void)is_writing, (void)data;
  return -1;
}

// The name is checked by OpenSSL: librabbitmq 0.11 finds no IP addresses in certificates.
static bool set_name(crabbitmq_tls *tls, const char *name) {
  X509_VERIFY_PARAM *rules = SSL_CTX_get0_param(tls->context);
  if (X509_VERIFY_PARAM_set1_ip_asc(rules, name) == 1) return true;
  ERR_clear_error();
  tls->server_name = strdup(name);
  X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return tls->server_name && X509_VERIFY_PARAM_set1_host(rules, name, 0) == 1;
}

crabbitmq_tls *crabbitmq_tls_new(void *connection, const char *name, bool verifies) {
  crabbitmq_tls *tls = calloc(1, sizeof *tls);
  if (!tls) return NULL;
  tls->verifies = verifies;
  tls->socket = amqp_ssl_socket_new(connection);
  if (tls->socket) tls->context = amqp_ssl_socket_get_context(tls->socket);
  if (!tls->context || !set_name(tls, name) || SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION) != 1) {
    crabbitmq_tls_free(tls);
    return NULL;
  }
  amqp_ssl_socket_set_verify_peer(tls->socket, verifies);
  amqp_ssl_socket_set_verify_hostname(tls->socket, false);
  // Refuses the certificate in the handshake; librabbitmq looks at it later.
  SSL_CTX_set_verify(tls->context, verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
  SSL_CTX_set_cert_verify_callback(tls->context, verify, tls);
  SSL_CTX_set_app_data(tls->context, tls);
  SSL_CTX_set_info_callback(tls->context, handshake_began);
  SSL_CTX_set_default_passwd_cb(tls->context, no_password);
  SSL_CTX_set_options(tls->context, SSL_OP_NO_RENEGOTIATION);
  // The output moves in memory between two attempts to write it.
  SSL_CTX_set_mode(tls->context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Nothing is read from the socket beyond the current record: see crabbitmq_tls_has_more.
  SSL_CTX_set_read_ahead(tls->context, 0);
  return tls;
}

void crabbitmq_tls_free(crabbitmq_tls *tls) {
  free(tls->server_name);
  free(tls);
}

bool crabbitmq_tls_trust(crabbitmq_tls *tls, const char *file) {
  if (!file) return SSL_CTX_set_default_verify_paths(tls->context) == 1;
  return amqp_ssl_socket_set_cacert(tls->socket, file) == AMQP_STATUS_OK;
}

bool crabbitmq_tls_identify(crabbitmq_tls *tls, const char *certificate, const char *key) {
  return amqp_ssl_socket_set_key(tls->socket, certificate, key) == AMQP_STATUS_OK;
}

int crabbitmq_tls_open(crabbitmq_tls *tls, const char *host, int port, const struct timeval *timeout) {
  tls->refusal = X509_V_OK;
  ERR_clear_error();
  int status = amqp_socket_open_noblock(tls->socket, host, port, timeout);
  SSL_CTX_set_info_callback(tls->context, NULL);
  if (status != AMQP_STATUS_OK) tls->session = NULL;
  return status;
}

const char *crabbitmq_tls_reason(const crabbitmq_tls *tls) {
  if (tls->verifies && tls->refusal != X509_V_OK) return X509_verify_cert_error_string(tls->refusal);
  unsigned long error = ERR_peek_last_error();
  return error ? ERR_reason_error_string(error) : NULL;
}

ssize_t crabbitmq_tls_read(crabbitmq_tls *tls, void *bytes, size_t size) {
  // OpenSSL allows no call after an error, and the reason of the first one is kept.
  if (tls->has_ended) return 0;
  size_t count = 0;
  ERR_clear_error();
  errno = 0;
  int result = SSL_read_ex(tls->session, bytes, size, &count);
  tls->read_needs_write = false;
  if (result > 0) return (ssize_t)count;
  int error = SSL_get_error(tls->session, result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
    tls->read_needs_write = error == SSL_ERROR_WANT_WRITE;
    errno = EAGAIN;
    return -1;
  }
  tls->has_ended = true;
  if (error == SSL_ERROR_ZERO_RETURN || (error == SSL_ERROR_SYSCALL && errno == 0)) return 0;
  if (error == SSL_ERROR_SSL) {
    if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) return 0;
    errno = EPROTO;
  }
  return -1;
}

ssize_t crabbitmq_tls_write(crabbitmq_tls *tls, const void *bytes, size_t size) {
  size_t count = 0;
  ERR_clear_error();
  errno = 0;
  int result = SSL_write_ex(tls->session, bytes, size, &count);
  tls->write_needs_read = false;
  if (result > 0) return (ssize_t)count;
  int error = SSL_get_error(tls->session, result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
    tls->write_needs_read = error == SSL_ERROR_WANT_READ;
    errno = EAGAIN;
  } else if (error != SSL_ERROR_SYSCALL || errno == 0) {
    errno = EPROTO;
  }
  return -1;
}

// SSL_has_pending would also count a record that has arrived in part.
bool crabbitmq_tls_has_more(const crabbitmq_tls *tls) { return tls->has_ended || SSL_pending(tls->session) > 0; }

short crabbitmq_tls_events(const crabbitmq_tls *tls, bool has_output) {
  bool writes = tls->read_needs_write || (has_output && !tls->write_needs_read);
  return writes ? POLLIN | POLLOUT : POLLIN;
}
