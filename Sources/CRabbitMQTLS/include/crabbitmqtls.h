/// TLS for librabbitmq's connections, by OpenSSL, which librabbitmq links.
///
/// librabbitmq connects and logs in over TLS. Its writes wait until the socket accepts them, so an established connection reads and writes
/// through the functions here: they use librabbitmq's TLS session and never wait.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/time.h>
#include <sys/types.h>

/// The TLS of one connection. For one thread.
typedef struct crabbitmq_tls crabbitmq_tls;

/// Gives a connection (an `amqp_connection_state_t`) a socket with TLS 1.2 or later. `name`, a host name or an IP address, has to be in the
/// server's certificate; a host name is also sent to the server (SNI). If `verifies` is false, every certificate is accepted.
/// Returns NULL if memory is exhausted. The caller frees it with `crabbitmq_tls_free`.
crabbitmq_tls *crabbitmq_tls_new(void *connection, const char *name, bool verifies);

void crabbitmq_tls_free(crabbitmq_tls *tls);

/// Sets the authorities that are trusted: those of a PEM file, or with NULL those of the system. Returns false if the file has none.
bool crabbitmq_tls_trust(crabbitmq_tls *tls, const char *file);

/// Sets the client's own certificate and its key, from PEM files. Returns false if they cannot be used, or if the key has a password.
bool crabbitmq_tls_identify(crabbitmq_tls *tls, const char *certificate, const char *key);

/// Connects and performs the handshake. Returns librabbitmq's status.
int crabbitmq_tls_open(crabbitmq_tls *tls, const char *host, int port, const struct timeval *timeout);

/// Why the last call on this thread failed, also one of librabbitmq's; NULL if TLS was not the reason. Valid until the next call.
const char *crabbitmq_tls_reason(const crabbitmq_tls *tls);

/// As `recv` on a socket that does not block: the number of bytes, 0 at the end, or -1 and `errno`. Returns at most one record of TLS.
ssize_t crabbitmq_tls_read(crabbitmq_tls *tls, void *bytes, size_t size);

/// As `send` on a socket that does not block: the number of bytes, or -1 and `errno`. After EAGAIN the next call must begin with the same bytes.
ssize_t crabbitmq_tls_write(crabbitmq_tls *tls, const void *bytes, size_t size);

/// Whether the next read returns something although the socket may have nothing to read.
bool crabbitmq_tls_has_more(const crabbitmq_tls *tls);

/// What to poll the socket for before the next read, and write if there is output. TLS may need to write before it can read, and the reverse.
short crabbitmq_tls_events(const crabbitmq_tls *tls, bool has_output);
