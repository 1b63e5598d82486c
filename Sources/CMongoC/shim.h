#pragma once
// Included by its folder: pkg-config's flags for libmongoc would link it, but it is loaded on first use.
#include <libmongoc-1.0/mongoc/mongoc.h>
