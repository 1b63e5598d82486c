// libmaxminddb is loaded when a database is opened, not linked: few deployments have a database, and the others do not need the library.
#include "cmaxmind.h"

#include <dlfcn.h>
#include <maxminddb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char library[] = "libmaxminddb.so.0";

struct cmaxmind {
  void *handle;
  __typeof__(MMDB_open) *open;
  __typeof__(MMDB_close) *close;
  __typeof__(MMDB_lookup_sockaddr) *lookup;
  __typeof__(MMDB_aget_value) *value;
  __typeof__(MMDB_strerror) *message;
  MMDB_s file;
};

static int resolve(cmaxmind *database) {
  void *handle = database->handle;
  database->open = (__typeof__(MMDB_open) *)dlsym(handle, "MMDB_open");
  database->close = (__typeof__(MMDB_close) *)dlsym(handle, "MMDB_close");
  database->lookup = (__typeof__(MMDB_lookup_sockaddr) *)dlsym(handle, "MMDB_lookup_sockaddr");
  database->value = (__typeof__(MMDB_aget_value) *)dlsym(handle, "MMDB_aget_value");
  database->message = (__typeof__(MMDB_strerror) *)dlsym(handle, "MMDB_strerror");
  return database->open && database->close && database->lookup && database->value && database->message;
}

cmaxmind *cmaxmind_open(const char *path, char *failure, size_t size) {
  cmaxmind *database = calloc(1, sizeof *database);
  if (!database) {
    snprintf(failure, size, "no memory");
    return NULL;
  }
  database->handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!database->handle) {
    snprintf(failure, size, "%s cannot be loaded; it is in Debian's package libmaxminddb0", library);
  } else if (!resolve(database)) {
    snprintf(failure, size, "%s lacks a function", library);
  } else {
    int status = database->open(path, MMDB_MODE_MMAP, &database->file);
    if (status == MMDB_SUCCESS) return database;
    snprintf(failure, size, "%s", database->message(status));
  }
  if (database->handle) dlclose(database->handle);
  free(database);
  return NULL;
}

void cmaxmind_close(cmaxmind *database) {
  database->close(&database->file);
  dlclose(database->handle);
  free(database);
}

static _Bool code_at(const cmaxmind *database, MMDB_entry_s *entry, const char *const *path, char *code) {
  MMDB_entry_data_s data;
  if (database->value(entry, &data, path) != MMDB_SUCCESS) return 0;
  if (!data.has_data || data.type != MMDB_DATA_TYPE_UTF8_STRING || data.data_size != 2) return 0;
  memcpy(code, data.utf8_string, 2);
  return 1;
}

_Bool cmaxmind_country(const cmaxmind *database, const uint8_t *address, size_t length, char *code) {
  struct sockaddr_storage storage;
  memset(&storage, 0, sizeof storage);
  if (length == 4) {
    struct sockaddr_in *own = (struct sockaddr_in *)&storage;
    own->sin_family = AF_INET;
    memcpy(&own->sin_addr, address, 4);
  } else if (length == 16) {
    struct sockaddr_in6 *own = (struct sockaddr_in6 *)&storage;
    own->sin6_family = AF_INET6;
    memcpy(&own->sin6_addr, address, 16);
  } else {
    return 0;
  }
  int error = MMDB_SUCCESS;
  MMDB_lookup_result_s found = database->lookup(&database->file, (const struct sockaddr *)&storage, &error);
  if (error != MMDB_SUCCESS || !found.found_entry) return 0;
  // The form of MaxMind and DB-IP, then that of IPinfo.
  static const char *const nested[] = {"country", "iso_code", NULL};
  static const char *const flat[] = {"country_code", NULL};
  return code_at(database, &found.entry, nested, code) || code_at(database, &found.entry, flat, code);
}
