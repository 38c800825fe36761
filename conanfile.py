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
    settings = "os", "arch", "compiler", "build_type"
    # With it the package has a small static library too: the kernels of every instruction set, of which a program takes the best when it starts.
    options = {"runtime_dispatch": [True, False]}
    default_options = {"runtime_dispatch": False}
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

    def configure(self):
        self.package_type = "static-library" if self.options.runtime_dispatch else "header-library"

    def package_id(self):
        if not self.info.options.runtime_dispatch:
            self.info.clear()

    def validate(self):
        check_min_cppstd(self, 20)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["QUIVER_RUNTIME_DISPATCH"] = bool(self.options.runtime_dispatch)
        toolchain.generate()
        CMakeDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        if self.options.runtime_dispatch:
            cmake.build()

    def package(self):
        CMake(self).install()

    def package_info(self):
        # quiver's own config file finds Boost, xsimd, cereal and xxHash where the consumer has them, from Conan or from the system.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = [os.path.join("share", "cmake", "quiver")]
        self.cpp_info.bindirs = []
        if self.options.runtime_dispatch:
            self.cpp_info.libs = ["quiver_dispatch"]
            self.cpp_info.defines = ["QUIVER_RUNTIME_DISPATCH=1"]
        else:
            self.cpp_info.libdirs = []
