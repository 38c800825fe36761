from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import load
import os
import re


class QuiverConan(ConanFile):
    name = "quiver"
    license = "Apache-2.0"
    description = "Embedded vector database: a header-only C++20 library whose storage backend is a template parameter"
    topics = ("database", "vector-search", "embedded", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    exports_sources = "CMakeLists.txt", "cmake/*", "include/*", "LICENSE"
    no_copy_source = True
    test_package_folder = os.path.join("tests", "consumers", "conan")

    def set_version(self):
        text = load(self, os.path.join(self.recipe_folder, "CMakeLists.txt"))
        self.version = re.search(r"project\(quiver VERSION (\d+\.\d+\.\d+)", text).group(1)

    def layout(self):
        cmake_layout(self)

    def requirements(self):
        self.requires("boost/[>=1.81 <2]", options={"header_only": True})
        self.requires("xsimd/[>=8.1]")
        self.requires("cereal/[>=1.3.2 <2]")
        self.requires("xxhash/[>=0.8.1 <1]")

    def package_id(self):
        self.info.clear()

    def validate(self):
        check_min_cppstd(self, 20)

    def generate(self):
        CMakeToolchain(self).generate()
        CMakeDeps(self).generate()

    def build(self):
        CMake(self).configure()

    def package(self):
        CMake(self).install()

    def package_info(self):
        # quiver's own config file finds Boost, xsimd, cereal and xxHash where the consumer has them, from Conan or from the system.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = [os.path.join("share", "cmake", "quiver")]
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
