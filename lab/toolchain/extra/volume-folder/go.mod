module ecochain.example/verify/toolchain/extra/volume-folder

go 1.26.8
