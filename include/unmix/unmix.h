/* unmix/unmix.h - everything. */
#ifndef UNMIX_UNMIX_H
#define UNMIX_UNMIX_H

#include "unmix/base.h"
#include "unmix/bench.h"
#include "unmix/choose.h"
#include "unmix/cluster.h"
#include "unmix/crystal.h"
#include "unmix/evidence.h"
#include "unmix/factor.h"
#include "unmix/ica.h"
#include "unmix/identify.h"
#include "unmix/image.h"
#include "unmix/instrument.h"
#include "unmix/io.h"
#include "unmix/measure.h"
#include "unmix/model.h"
#include "unmix/online.h"
#include "unmix/prep.h"
#include "unmix/report.h"
#include "unmix/scene.h"
#include "unmix/segment.h"
#include "unmix/shapes.h"
#include "unmix/simulate.h"
#include "unmix/specimen.h"
#include "unmix/stability.h"
#include "unmix/verify.h"

#endif
