#pragma once
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>

// Parts of librabbitmq that Swift cannot import: macros with a cast, variadic functions, and tables built from C strings on the stack.

enum {
    analytics_connection_close = AMQP_CONNECTION_CLOSE_METHOD,
    analytics_connection_close_ok = AMQP_CONNECTION_CLOSE_OK_METHOD,
    analytics_connection_blocked = AMQP_CONNECTION_BLOCKED_METHOD,
    analytics_connection_unblocked = AMQP_CONNECTION_UNBLOCKED_METHOD,
    analytics_channel_close = AMQP_CHANNEL_CLOSE_METHOD,
    analytics_queue_declare_ok = AMQP_QUEUE_DECLARE_OK_METHOD,
    analytics_basic_cancel = AMQP_BASIC_CANCEL_METHOD,
    analytics_basic_deliver = AMQP_BASIC_DELIVER_METHOD,
    analytics_basic_return = AMQP_BASIC_RETURN_METHOD,
    analytics_basic_ack = AMQP_BASIC_ACK_METHOD,
    analytics_basic_nack = AMQP_BASIC_NACK_METHOD,
};

static inline amqp_table_entry_t analytics_true(const char *key) {
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes(key)};
    entry.value.kind = AMQP_FIELD_KIND_BOOLEAN;
    entry.value.value.boolean = 1;
    return entry;
}

static inline amqp_table_entry_t analytics_text(const char *key, const char *text) {
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes(key)};
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = amqp_cstring_bytes(text);
    return entry;
}

// Only to a client with these capabilities does the broker send connection.blocked and basic.cancel, and a reason when it closes after
// wrong credentials: https://www.rabbitmq.com/docs/consumer-cancel#capabilities
static inline amqp_rpc_reply_t analytics_login(amqp_connection_state_t state, const char *vhost, int heartbeat,
                                               const char *user, const char *password, const char *name) {
    amqp_table_entry_t capabilities[] = {
        analytics_true("publisher_confirms"), analytics_true("connection.blocked"),
        analytics_true("consumer_cancel_notify"), analytics_true("basic.nack"),
        analytics_true("authentication_failure_close"),
    };
    amqp_table_entry_t properties[] = {analytics_text("connection_name", name), {.key = amqp_cstring_bytes("capabilities")}};
    properties[1].value.kind = AMQP_FIELD_KIND_TABLE;
    properties[1].value.value.table.num_entries = sizeof capabilities / sizeof *capabilities;
    properties[1].value.value.table.entries = capabilities;
    amqp_table_t table = {2, properties};
    return amqp_login_with_properties(state, vhost, AMQP_DEFAULT_MAX_CHANNELS, AMQP_DEFAULT_FRAME_SIZE, heartbeat, &table,
                                      AMQP_SASL_METHOD_PLAIN, user, password);
}

static inline amqp_rpc_reply_t analytics_open_channel(amqp_connection_state_t state, amqp_channel_t channel) {
    amqp_channel_open(state, channel);
    return amqp_get_rpc_reply(state);
}

static inline amqp_rpc_reply_t analytics_select_confirms(amqp_connection_state_t state, amqp_channel_t channel) {
    amqp_confirm_select(state, channel);
    return amqp_get_rpc_reply(state);
}

static inline amqp_rpc_reply_t analytics_declare_exchange(amqp_connection_state_t state, amqp_channel_t channel, const char *name) {
    amqp_exchange_declare(state, channel, amqp_cstring_bytes(name), amqp_cstring_bytes("direct"), 0, 1, 0, 0, amqp_empty_table);
    return amqp_get_rpc_reply(state);
}

// The broker deletes the queue together with its connection.
static inline amqp_rpc_reply_t analytics_declare_exclusive_queue(amqp_connection_state_t state, amqp_channel_t channel, const char *name) {
    amqp_queue_declare(state, channel, amqp_cstring_bytes(name), 0, 0, 1, 0, amqp_empty_table);
    return amqp_get_rpc_reply(state);
}

// alternate-exchange is the only argument of an exchange that a broker compares with that of an existing exchange
// (rabbit_exchange:assert_args_equivalence). Clients cannot publish to an internal exchange, so the alternate exchange is never used.
static inline amqp_rpc_reply_t analytics_declare_owner(amqp_connection_state_t state, amqp_channel_t channel, const char *name,
                                                       const char *identity) {
    amqp_table_entry_t entry = analytics_text("alternate-exchange", identity);
    amqp_table_t arguments = {1, &entry};
    amqp_exchange_declare(state, channel, amqp_cstring_bytes(name), amqp_cstring_bytes("fanout"), 0, 1, 0, 1, arguments);
    return amqp_get_rpc_reply(state);
}

static inline amqp_rpc_reply_t analytics_delete_unused_exchange(amqp_connection_state_t state, amqp_channel_t channel, const char *name) {
    amqp_exchange_delete(state, channel, amqp_cstring_bytes(name), 1);
    return amqp_get_rpc_reply(state);
}

static inline amqp_rpc_reply_t analytics_inspect(amqp_connection_state_t state, amqp_channel_t channel, const char *name,
                                                 uint32_t *messages, uint32_t *consumers) {
    amqp_queue_declare_ok_t *declared = amqp_queue_declare(state, channel, amqp_cstring_bytes(name), 1, 0, 0, 0, amqp_empty_table);
    if (declared) {
        *messages = declared->message_count;
        *consumers = declared->consumer_count;
    }
    return amqp_get_rpc_reply(state);
}

// For a channel that the broker has closed.
static inline amqp_rpc_reply_t analytics_reopen_channel(amqp_connection_state_t state, amqp_channel_t channel) {
    amqp_channel_close_ok_t answer = {0};
    amqp_send_method(state, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &answer);
    return analytics_open_channel(state, channel);
}

// `dead_exchange` may be NULL. `without_limit` sets x-delivery-limit to -1, which brokers before 4.0 refuse and later ones need.
static inline amqp_rpc_reply_t analytics_declare_quorum_queue(amqp_connection_state_t state, amqp_channel_t channel,
                                                              const char *name, const char *dead_exchange,
                                                              const char *dead_key, int without_limit) {
    amqp_table_entry_t entries[4] = {analytics_text("x-queue-type", "quorum")};
    amqp_table_t arguments = {1, entries};
    if (dead_exchange) {
        entries[arguments.num_entries++] = analytics_text("x-dead-letter-exchange", dead_exchange);
        entries[arguments.num_entries++] = analytics_text("x-dead-letter-routing-key", dead_key);
    }
    if (without_limit) {
        amqp_table_entry_t *limit = &entries[arguments.num_entries++];
        limit->key = amqp_cstring_bytes("x-delivery-limit");
        limit->value.kind = AMQP_FIELD_KIND_I64;
        limit->value.value.i64 = -1;
    }
    amqp_queue_declare(state, channel, amqp_cstring_bytes(name), 0, 1, 0, 0, arguments);
    return amqp_get_rpc_reply(state);
}

static inline amqp_rpc_reply_t analytics_bind(amqp_connection_state_t state, amqp_channel_t channel, const char *queue,
                                              const char *exchange, const char *key) {
    amqp_queue_bind(state, channel, amqp_cstring_bytes(queue), amqp_cstring_bytes(exchange), amqp_cstring_bytes(key),
                    amqp_empty_table);
    return amqp_get_rpc_reply(state);
}

static inline amqp_rpc_reply_t analytics_delete_queue(amqp_connection_state_t state, amqp_channel_t channel, const char *name) {
    amqp_queue_delete(state, channel, amqp_cstring_bytes(name), 0, 0);
    return amqp_get_rpc_reply(state);
}

static inline amqp_rpc_reply_t analytics_delete_exchange(amqp_connection_state_t state, amqp_channel_t channel, const char *name) {
    amqp_exchange_delete(state, channel, amqp_cstring_bytes(name), 0);
    return amqp_get_rpc_reply(state);
}
