// quiver, an embedded vector database: the parts for everyday use.
#pragma once

#include <quiver/collection/collection.hpp>
#include <quiver/collection/repair.hpp>
#include <quiver/collection/verify_path.hpp>
#include <quiver/core/version.hpp>
#include <quiver/formats/npy.hpp>
#include <quiver/formats/vecs.hpp>
#include <quiver/storage/checked_mmap.hpp>
#include <quiver/storage/file_read.hpp>
#include <quiver/storage/memory.hpp>
#include <quiver/storage/mmap.hpp>
#include <quiver/storage/mmap_read.hpp>

#include <boost/describe.hpp>
