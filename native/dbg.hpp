#pragma once
#include <cstdlib>
inline double P_(const char* n, double d){ const char* s=std::getenv(n); return s?std::atof(s):d; }
#define PARAM(n,d) ([]{ static const double v=P_(#n,d); return v; }())
