// Country look-ups in a database in MaxMind's format (MMDB).
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct cmaxmind cmaxmind;

// Loads libmaxminddb and maps the file. On failure returns NULL, with one line in `failure`.
cmaxmind *_Nullable cmaxmind_open(const char *_Nonnull path, char *_Nonnull failure, size_t size);
void cmaxmind_close(cmaxmind *_Nonnull database);

// Writes the two bytes of the country code for an address of 4 or 16 bytes. False if the file has none. Thread-safe.
_Bool cmaxmind_country(const cmaxmind *_Nonnull database, const uint8_t *_Nonnull address, size_t length, char *_Nonnull code);
