#include "cmongoc.h"
