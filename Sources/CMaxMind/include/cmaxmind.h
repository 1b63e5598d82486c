// A database of addresses in MaxMind's format (MMDB), as far as the service asks it.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct cmaxmind cmaxmind;

// Loads libmaxminddb, and maps the file. NULL with one line in `failure` where that does not work.
cmaxmind *_Nullable cmaxmind_open(const char *_Nonnull path, char *_Nonnull failure, size_t size);
void cmaxmind_close(cmaxmind *_Nonnull database);

// Writes the two bytes of the country's code for an address of 4 or 16 bytes. False where the file knows none. Safe from several threads.
_Bool cmaxmind_country(const cmaxmind *_Nonnull database, const uint8_t *_Nonnull address, size_t length, char *_Nonnull code);
