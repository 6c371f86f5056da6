;; In init.el. Eglot is a part of Emacs 29; a package before (1.9 or later).
(with-eval-after-load 'eglot
  (add-to-list 'eglot-server-programs
               '((python-mode python-ts-mode)
                 . ("p2assist" "lsp"
                    :initializationOptions
                    (:trusted ["~/src/shop"] :beams 8 :editor "emacs")))))
(add-hook 'python-mode-hook #'eglot-ensure)
(add-hook 'python-ts-mode-hook #'eglot-ensure)
