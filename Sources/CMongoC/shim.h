#pragma once
// By its folder: pkg-config's flags for libmongoc would link it, and it is loaded when it is needed.
#include <libmongoc-1.0/mongoc/mongoc.h>
