module example.org/mainstay/api

go 1.19
